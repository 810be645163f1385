"""A tile of a matrix product, held in vector registers while sums of products of blocks of matrices run into it.

Convolutions and their gradients are sums of small matrix products whose operands lie in the images themselves, so
that nothing need be gathered (Georganas et al., "High-Performance Deep Learning via a Single Building Block", 2019).
Loops do not say what belongs into registers, so the tile is written in LLVM's own vectors: rows of `VECTOR` bytes.
"""

from functools import cache
from typing import Any

__all__ = ["VECTOR", "add_products", "are_parts_fast", "register", "rows_of_tile", "vectors_of_tile"]

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


@cache
def register() -> None:
    """Tell numba what to compile where a function calls `add_products`. `compiled` sees to it."""
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

    @overload(add_products, prefer_literal=True)  # type: ignore[untyped-decorator]
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


def _one_for_each_number_of_rows(context: Any, builder: Any, signature: Any, given: Any) -> Any:
    """A tile's code for each number of rows, and the choice among them."""
    from llvmlite import ir

    class Operand:
        """The part of a flat array that begins at an offset."""

        def __init__(self, number: int, at: int | None = None) -> None:
            array = context.make_array(signature.args[number])(context, builder, given[number])
            self.start = array.data if at is None else builder.gep(array.data, [given[at]])
            self.length = builder.extract_value(array.shape, 0)

    (rows, columns, _, _, _, y_row, _, _, c_row, _, _, a_row, a_step, _, _, _, b_step, _, length) = given
    y, c, a, a_blocks, b, b_blocks = (Operand(*at) for at in ((3, 4), (6, 7), (9, 10), (13,), (14, 15), (17,)))
    scalar = context.get_value_type(signature.args[3].dtype)
    size = context.get_abi_sizeof(scalar)
    whole = signature.args[2].literal_value
    vector = ir.VectorType(scalar, VECTOR // size)
    mask = None if whole else _mask(builder, columns, vector.count)
    end = builder.append_basic_block("end")
    choice = builder.switch(rows, end)
    for count in range(1, rows_of_tile() + 1):
        block = builder.append_basic_block(f"rows_{count}")
        choice.add_case(ir.Constant(ir.IntType(64), count), block)
        builder.position_at_end(block)
        writer = _Tile(builder, vector, size, mask, count, whole or 1)
        writer.load(c.start, c_row)
        writer.add((a.start, a_row, a_step, a_blocks.start), (b.start, b_step, b_blocks.start), a_blocks.length, length)
        writer.store(y.start, y_row)
        builder.branch(end)
    builder.position_at_end(end)
    return context.get_dummy_value()


def _mask(builder: Any, columns: Any, lanes: int) -> Any:
    """Of a vector's elements, those before the number of columns."""
    from llvmlite import ir

    kind = ir.VectorType(ir.IntType(64), lanes)
    numbers = ir.Constant(kind, list(range(lanes)))
    return builder.icmp_signed("<", numbers, _repeated(builder, columns, kind))


def _repeated(builder: Any, scalar: Any, vector: Any) -> Any:
    from llvmlite import ir

    index = ir.IntType(32)
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, scalar, ir.Constant(index, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(index, vector.count), [0] * vector.count))


class _Tile:
    """Writes the code of a tile with a number of rows and of vectors in each."""

    def __init__(self, builder: Any, vector: Any, size: int, mask: Any, rows: int, vectors: int) -> None:
        from llvmlite import ir
        from numba.core import cgutils

        self.builder, self.vector, self.size, self.mask = builder, vector, size, mask
        self.places = [[cgutils.alloca_once(builder, vector) for _ in range(vectors)] for _ in range(rows)]
        self.number = lambda n: ir.Constant(ir.IntType(64), n)

    def pointers(self, start: Any, row: Any) -> Any:
        """Where each vector of the tile lies in memory, with the register that holds it."""
        for i, places in enumerate(self.places):
            for j, place in enumerate(places):
                offset = self.builder.add(
                    self.builder.mul(self.number(i), row), self.number(j * self.vector.count), flags=["nsw"]
                )
                yield self.vector_at(self.builder.gep(start, [offset])), place

    def vector_at(self, pointer: Any) -> Any:
        return self.builder.bitcast(pointer, self.vector.as_pointer())

    def read(self, pointer: Any) -> Any:
        from llvmlite import ir

        if self.mask is None:
            value = self.builder.load(pointer)
            value.align = self.size
            return value
        align = ir.Constant(ir.IntType(32), self.size)
        kind = ir.FunctionType(self.vector, [pointer.type, align.type, self.mask.type, self.vector])
        return self.call("load", kind, [pointer, align, self.mask, ir.Constant(self.vector, None)])

    def write(self, value: Any, pointer: Any) -> None:
        from llvmlite import ir

        if self.mask is None:
            self.builder.store(value, pointer).align = self.size
            return
        align = ir.Constant(ir.IntType(32), self.size)
        kind = ir.FunctionType(ir.VoidType(), [self.vector, pointer.type, align.type, self.mask.type])
        self.call("store", kind, [value, pointer, align, self.mask])

    def call(self, what: str, kind: Any, arguments: list[Any]) -> Any:
        """The masked load or store, which touches no memory behind the last column."""
        from numba.core import cgutils

        of = f"v{self.vector.count}{'f32' if self.size == 4 else 'f64'}"
        name = f"llvm.masked.{what}.{of}.p0"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)

    def load(self, start: Any, row: Any) -> None:
        for pointer, place in self.pointers(start, row):
            self.builder.store(self.read(pointer), place)

    def store(self, start: Any, row: Any) -> None:
        for pointer, place in self.pointers(start, row):
            self.write(self.builder.load(place), pointer)

    def add(self, a: Any, b: Any, blocks: Any, length: Any) -> None:
        from numba.core import cgutils

        builder, (a_start, a_row, a_step, a_blocks), (b_start, b_step, b_blocks) = self.builder, a, b
        with cgutils.for_range(builder, blocks) as block:
            of_a = builder.gep(a_start, [builder.load(builder.gep(a_blocks, [block.index]))])
            of_b = builder.gep(b_start, [builder.load(builder.gep(b_blocks, [block.index]))])
            with cgutils.for_range(builder, length) as at:
                line = builder.gep(of_b, [builder.mul(at.index, b_step)])
                places = [self.number(j * self.vector.count) for j in range(len(self.places[0]))]
                vectors = [self.read(self.vector_at(builder.gep(line, [place]))) for place in places]
                element = builder.gep(of_a, [builder.mul(at.index, a_step)])
                for i, row in enumerate(self.places):
                    scalar = builder.load(builder.gep(element, [builder.mul(self.number(i), a_row)]))
                    repeated = _repeated(builder, scalar, self.vector)
                    for vector, place in zip(vectors, row, strict=True):
                        product = builder.fmul(repeated, vector, flags=["contract"])
                        builder.store(builder.fadd(product, builder.load(place), flags=["contract"]), place)
