"""A tile of a matrix product, held in vector registers while sums of products of blocks of matrices run into it.

Convolutions and their gradients are sums of small matrix products whose operands lie in the images themselves, so
that nothing need be gathered (Georganas et al., "High-Performance Deep Learning via a Single Building Block", 2019).
Loops do not say what belongs into registers, so the tile is written in LLVM's own vectors: rows of `VECTOR` bytes.
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

__all__ = [
    "VECTOR", "add_products", "are_parts_fast", "columns_of_tile", "copy_vector", "register", "rows_of_tile",
    "vectors_of_tile",
]  # fmt: skip

VECTOR = 64
"""How many bytes a vector has. Where the processor's are shorter, it takes two or four for one."""


@cache
def _features() -> frozenset[str]:
    """What the processor that numba compiles for has, by LLVM's names."""
    from numba.core.registry import cpu_target

    names = cpu_target.target_context.codegen().magic_tuple()[2]
    return frozenset(name[1:] for name in names.split(",") if name.startswith("+"))


def rows_of_tile() -> int:
    """How many rows a tile has at most, for which there are registers."""
    return 12 if "avx512f" in _features() else 6


def vectors_of_tile(columns: int, itemsize: int) -> int:
    """How many vectors lie side by side in a tile: 2, 1, or 0, which is one of which only a part may be used."""
    if columns % (VECTOR // itemsize):
        return 0
    return 2 if "avx512f" in _features() and columns % (2 * VECTOR // itemsize) == 0 else 1


def columns_of_tile(columns: int, itemsize: int) -> int:
    """How many columns a tile has."""
    return max(vectors_of_tile(columns, itemsize), 1) * VECTOR // itemsize


def are_parts_fast() -> bool:
    """Whether the processor loads and stores a part of a vector as fast as all of it."""
    return "avx" in _features()


def add_products(
    rows: int, columns: int, vectors: int, y: Any, y_at: int, y_row: int, c: Any, c_at: int, c_row: int, a: Any,
    a_at: int, a_row: int, a_step: int, a_blocks: Any, b: Any, b_at: int, b_step: int, b_blocks: Any, length: int,
) -> None:  # fmt: skip
    """y = c + the sum over blocks of a @ b, of a tile of `rows` times as many columns as `vectors` have.

    Where `vectors` is 0, it is of so many of one vector's columns as there are.

    All are flat arrays, of which `at` is where the tile begins, and `row` and `step` how far its next row, or the
    next of the `length` elements that are multiplied, is away; in `blocks` is where each block begins.
    """
    for row in range(rows):
        for column in range(columns):
            total = c[c_at + row * c_row + column]
            for of_a, of_b in zip(a_blocks, b_blocks, strict=True):
                for k in range(length):
                    of_row = a[a_at + of_a + row * a_row + k * a_step]
                    total += of_row * b[b_at + of_b + k * b_step + column]
            y[y_at + row * y_row + column] = total


def copy_vector(y: Any, y_at: int, x: Any, x_at: int) -> None:
    """Copy a vector of elements of one flat array to another, which LLVM does one by one in a loop it cannot see."""
    for k in range(VECTOR // x.itemsize):
        y[y_at + k] = x[x_at + k]


@cache
def register() -> None:
    """Tell numba what to compile where a function calls `add_products` or `copy_vector`. `compiled` sees to it."""
    from numba import types
    from numba.extending import intrinsic, overload

    whole = types.int64

    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def tile(
        typing: Any, rows: Any, columns: Any, vectors: Any, y: Any, y_at: Any, y_row: Any, c: Any, c_at: Any,
        c_row: Any, a: Any, a_at: Any, a_row: Any, a_step: Any, a_blocks: Any, b: Any, b_at: Any, b_step: Any,
        b_blocks: Any, length: Any,
    ) -> Any:  # fmt: skip
        takes = (
            *(whole, whole, vectors, y, whole, whole, c, whole, whole, a, whole, whole, whole, a_blocks),
            *(b, whole, whole, b_blocks, whole),
        )
        return types.void(*takes), _one_for_each_number_of_rows

    @overload(add_products, prefer_literal=True, jit_options={"forceinline": True})  # type: ignore[untyped-decorator]
    def _(
        rows: Any, columns: Any, vectors: Any, y: Any, y_at: Any, y_row: Any, c: Any, c_at: Any, c_row: Any, a: Any,
        a_at: Any, a_row: Any, a_step: Any, a_blocks: Any, b: Any, b_at: Any, b_step: Any, b_blocks: Any, length: Any,
    ) -> Any:  # fmt: skip
        count = vectors.literal_value

        def call(
            rows: Any, columns: Any, vectors: Any, y: Any, y_at: Any, y_row: Any, c: Any, c_at: Any, c_row: Any,
            a: Any, a_at: Any, a_row: Any, a_step: Any, a_blocks: Any, b: Any, b_at: Any, b_step: Any, b_blocks: Any,
            length: Any,
        ) -> None:  # fmt: skip
            tile(
                rows, columns, count, y, y_at, y_row, c, c_at, c_row, a, a_at, a_row, a_step, a_blocks, b, b_at,
                b_step, b_blocks, length,
            )  # fmt: skip

        return call

    @intrinsic  # type: ignore[untyped-decorator]
    def copy(typing: Any, y: Any, y_at: Any, x: Any, x_at: Any) -> Any:
        return types.void(y, whole, x, whole), _copy

    @overload(copy_vector, jit_options={"forceinline": True})  # type: ignore[untyped-decorator]
    def _(y: Any, y_at: Any, x: Any, x_at: Any) -> Any:
        def call(y: Any, y_at: Any, x: Any, x_at: Any) -> None:
            copy(y, y_at, x, x_at)

        return call


@cache
def _llvm() -> tuple[Any, Any]:
    """LLVM's types and constants, and numba's ways to write its code."""
    return import_module("llvmlite.ir"), import_module("numba.core.cgutils")


def _copy(context: Any, builder: Any, signature: Any, given: Any) -> Any:
    """The code of `copy_vector`."""
    ir, _ = _llvm()
    scalar = context.get_value_type(signature.args[0].dtype)
    size = context.get_abi_sizeof(scalar)
    target, source = (
        builder.bitcast(
            builder.gep(context.make_array(signature.args[number])(context, builder, given[number]).data, [at]),
            ir.VectorType(scalar, VECTOR // size).as_pointer(),
        )
        for number, at in ((0, given[1]), (2, given[3]))
    )
    value = builder.load(source)
    value.align = size
    builder.store(value, target).align = size
    return context.get_dummy_value()


def _one_for_each_number_of_rows(context: Any, builder: Any, signature: Any, given: Any) -> Any:
    """A tile's code for each number of rows, and the choice among them."""
    ir, _ = _llvm()
    (rows, columns, _, _, _, y_row, _, _, c_row, _, _, a_row, a_step, _, _, _, b_step, _, length) = given

    def array(number: int) -> Any:
        return context.make_array(signature.args[number])(context, builder, given[number])

    y, c, a, b = (builder.gep(array(number).data, [given[number + 1]]) for number in (3, 6, 9, 14))
    a_blocks, b_blocks, blocks = array(13).data, array(17).data, builder.extract_value(array(13).shape, 0)
    scalar = context.get_value_type(signature.args[3].dtype)
    size = context.get_abi_sizeof(scalar)
    vector = ir.VectorType(scalar, VECTOR // size)
    vectors = signature.args[2].literal_value
    mask = None if vectors else _mask(builder, columns, vector.count)
    end = builder.append_basic_block("end")
    choice = builder.switch(rows, end)
    for count in range(1, rows_of_tile() + 1):
        block = builder.append_basic_block(f"rows_{count}")
        choice.add_case(ir.Constant(rows.type, count), block)
        builder.position_at_end(block)
        tile = _Tile(builder, vector, size, mask, count, vectors or 1)
        tile.load(c, c_row)
        tile.add((a, a_row, a_step, a_blocks), (b, b_step, b_blocks), blocks, length)
        tile.store(y, y_row)
        builder.branch(end)
    builder.position_at_end(end)
    return context.get_dummy_value()


def _mask(builder: Any, columns: Any, lanes: int) -> Any:
    """Of a vector's elements, those before the number of columns."""
    ir, _ = _llvm()
    kind = ir.VectorType(columns.type, lanes)
    return builder.icmp_signed("<", ir.Constant(kind, list(range(lanes))), _repeated(builder, columns, kind))


def _repeated(builder: Any, scalar: Any, vector: Any) -> Any:
    """A vector of one number."""
    ir, _ = _llvm()
    index, empty = ir.IntType(32), ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, scalar, ir.Constant(index, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(index, vector.count), [0] * vector.count))


class _Tile:
    """Writes the code of a tile of so many rows and vectors; a mask says which part of a vector there is."""

    def __init__(self, builder: Any, vector: Any, size: int, mask: Any, rows: int, vectors: int) -> None:
        self.ir, self.code = _llvm()
        self.builder, self.vector, self.size, self.mask = builder, vector, size, mask
        self.align = self.ir.Constant(self.ir.IntType(32), size)
        # Places in memory for LLVM to put into registers, which it does for all that no pointer goes to.
        self.places = [[self.code.alloca_once(builder, vector) for _ in range(vectors)] for _ in range(rows)]

    def load(self, start: Any, row: Any) -> None:
        for number, places in enumerate(self.places):
            for place, pointer in zip(places, self.line(self.after(start, row, number)), strict=True):
                self.builder.store(self.read(pointer), place)

    def store(self, start: Any, row: Any) -> None:
        for number, places in enumerate(self.places):
            for place, pointer in zip(places, self.line(self.after(start, row, number)), strict=True):
                self.write(self.builder.load(place), pointer)

    def add(self, a: Any, b: Any, blocks: Any, length: Any) -> None:
        builder, (a_start, a_row, a_step, a_blocks), (b_start, b_step, b_blocks) = self.builder, a, b
        with self.code.for_range(builder, blocks) as block:
            of_a = builder.gep(a_start, [builder.load(builder.gep(a_blocks, [block.index]))])
            of_b = builder.gep(b_start, [builder.load(builder.gep(b_blocks, [block.index]))])
            with self.code.for_range(builder, length) as step:
                vectors = [self.read(pointer) for pointer in self.line(self.after(of_b, b_step, step.index))]
                elements = self.after(of_a, a_step, step.index)
                for number, places in enumerate(self.places):
                    element = _repeated(builder, builder.load(self.after(elements, a_row, number)), self.vector)
                    for vector, place in zip(vectors, places, strict=True):
                        product = builder.fmul(element, vector, flags=["contract"])
                        builder.store(builder.fadd(product, builder.load(place), flags=["contract"]), place)

    def after(self, pointer: Any, step: Any, count: Any) -> Any:
        """The pointer so many steps on."""
        count = self.ir.Constant(step.type, count) if isinstance(count, int) else count
        return self.builder.gep(pointer, [self.builder.mul(step, count)])

    def line(self, pointer: Any) -> Iterator[Any]:
        """Pointers to the vectors of a row."""
        for number in range(len(self.places[0])):
            at = self.ir.Constant(self.ir.IntType(64), number * self.vector.count)
            yield self.builder.bitcast(self.builder.gep(pointer, [at]), self.vector.as_pointer())

    def read(self, pointer: Any) -> Any:
        if self.mask is not None:
            return self.masked("load", self.vector, pointer, self.align, self.mask, self.ir.Constant(self.vector, None))
        value = self.builder.load(pointer)
        value.align = self.size
        return value

    def write(self, value: Any, pointer: Any) -> None:
        if self.mask is not None:
            self.masked("store", self.ir.VoidType(), value, pointer, self.align, self.mask)
        else:
            self.builder.store(value, pointer).align = self.size

    def masked(self, what: str, result: Any, *given: Any) -> Any:
        """A load or store that touches no memory behind the last column."""
        kind = self.ir.FunctionType(result, [value.type for value in given])
        name = f"llvm.masked.{what}.v{self.vector.count}f{8 * self.size}.p0"
        return self.builder.call(self.code.get_or_insert_function(self.builder.module, kind, name), given)
