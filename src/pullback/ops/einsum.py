"""einsum: sums of products, written with an index for each axis.

What is asked for is planned once for each set of shapes: which axes are summed first, in which order the operands
meet, and how each pair becomes one matrix product. What then runs is a handful of ops on views, which are
differentiable, mapped and traced as ops are.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple, TypeAlias

from ..autodiff.tensor import Tensor
from ..backends import Array, find_backend_of
from .data_types import astype, result_type
from .elementwise import multiply
from .linalg import diagonal, outer
from .linear_algebra import matmul, matrix_transpose
from .manipulation import permute_dims, reshape
from .statistical import sum

__all__ = ["einsum"]

Labels: TypeAlias = tuple[str, ...]
"""The index of each axis: a letter, or for an axis of an ellipsis its number from the right."""
Shape: TypeAlias = tuple[int, ...]


def einsum(subscripts: str, /, *operands: Array) -> Array:
    """The sum of products that the subscripts describe, in the notation of `numpy.einsum`.

    subscripts: for each operand a letter for each of its axes, separated by commas; after `->` those of the result.
        What does not appear there is summed. Without `->` they are the letters that appear once, in the order of
        the alphabet. A letter twice in an operand takes its diagonal; `...` stands for axes that are broadcast.
    operands: arrays of numbers. Axes of one letter have one length, or length 1.
    Raises ValueError, naming the letter or the operand, where subscripts and shapes do not fit.

    Three operands and more are contracted in the order that opt_einsum finds, where it is installed
    (`pip install 'pullback[einsum]'`), else from left to right. The results are the same up to rounding.

    >>> import pullback as pb
    >>> einsum("ij,kj->ik", pb.tensor([[1.0, 2.0]]), pb.tensor([[3.0, 4.0], [5.0, 6.0]]))
    Tensor([[11., 17.]], dtype=float32)
    >>> einsum("ii", pb.eye(3))
    Tensor(3., dtype=float32)
    """
    if not isinstance(subscripts, str):
        kind = type(subscripts).__name__
        raise TypeError(f"einsum takes its subscripts first, as in einsum('ij,jk->ik', a, b); got {kind}")
    plan = _plan(subscripts, tuple([getattr(x, "shape", ()) for x in operands]))
    values = list(operands)
    if len({x.dtype for x in operands if hasattr(x, "dtype")}) > 1:
        values = _promoted(values)
    for place, change in plan.alone:
        values[place] = change(values[place])
    for places, contract in plan.pairs:
        a, b = (values[place] for place in places)
        for place in sorted(places, reverse=True):
            del values[place]
        values.append(contract(a, b))
    return values[0] if plan.last is None else plan.last(values[0])


def _promoted(operands: list[Array]) -> list[Array]:
    """Arrays of several data types in the one that they have together, before anything is summed in less."""
    arrays = [isinstance(x, Tensor) or find_backend_of(x) is not None for x in operands]
    common = result_type(*{x.dtype for x, is_array in zip(operands, arrays, strict=True) if is_array})
    return [
        astype(x, common) if is_array and common != x.dtype else x for x, is_array in zip(operands, arrays, strict=True)
    ]


class _View(NamedTuple):
    """The axes in another order, then another shape; None where they stay."""

    axes: tuple[int, ...] | None
    shape: Shape | None

    def __call__(self, x: Array) -> Array:
        axes = self.axes
        if axes is not None:
            ndim = len(axes)
            swapped = (*range(ndim - 2), ndim - 1, ndim - 2)
            x = matrix_transpose(x) if axes == swapped else permute_dims(x, axes=axes)
        return x if self.shape is None else reshape(x, shape=self.shape)


class _Alone(NamedTuple):
    """Diagonals of repeated indices, each a permutation and its last two axes; then lengths of 1 dropped; then sums."""

    diagonals: tuple[_View, ...]
    dropped: Shape | None
    summed: tuple[int, ...]

    def __call__(self, x: Array) -> Array:
        for view in self.diagonals:
            x = diagonal(view(x))
        if self.dropped is not None:
            x = reshape(x, shape=self.dropped)
        return sum(x, axis=self.summed, dtype=x.dtype) if self.summed else x


class _Pair(NamedTuple):
    """One product, of matrices where something is summed and of elements where nothing is."""

    product: Callable[[Array, Array], Array]
    left: _View | None
    right: _View | None
    result: _View | None

    def __call__(self, a: Array, b: Array) -> Array:
        y = self.product(a if self.left is None else self.left(a), b if self.right is None else self.right(b))
        return y if self.result is None else self.result(y)


class _Plan(NamedTuple):
    """What happens to operands by themselves; then to pairs, whose result goes to the end; then to the last one."""

    alone: tuple[tuple[int, _Alone], ...]
    pairs: tuple[tuple[tuple[int, int], _Pair], ...]
    last: _View | None


@lru_cache(maxsize=4096)
def _plan(subscripts: str, shapes: tuple[Shape, ...]) -> _Plan:
    terms, output = _parse(subscripts, shapes)
    lengths = _lengths(subscripts, terms, shapes)
    longer = ({label for label, n in zip(*one, strict=True) if n != 1} for one in zip(terms, shapes, strict=True))
    uses = Counter(label for labels in (*longer, output) for label in labels)
    alone, left = [], []
    for place, (labels, shape) in enumerate(zip(terms, shapes, strict=True)):
        change, remaining = _reduce(labels, shape, uses)
        left.append(remaining)
        if change is not None:
            alone.append((place, change))
    wanted = tuple(label for label in output if lengths[label] != 1)
    shape = tuple(lengths[label] for label in output)
    pairs = []
    for i, j in _path(left, wanted, lengths):
        a, b = left[i], left[j]
        left = [labels for place, labels in enumerate(left) if place not in (i, j)]
        keep = {*wanted, *(label for labels in left for label in labels)}
        if not left and wanted and wanted[-1] in a and wanted[-1] not in b:
            a, b, i, j = b, a, j, i  # the last axis of a product is the second operand's
        if all(label in keep for label in a if label in b):
            pair, made = _elementwise(a, b, None if left else wanted, lengths)
        else:
            pair, made = _contraction(a, b, keep, lengths)
        pairs.append(((i, j), pair))
        left.append(made)
    last = _view(left[0], wanted, tuple(lengths[label] for label in left[0]), shape)
    return _Plan(tuple(alone), tuple(pairs), last)


def _parse(subscripts: str, shapes: tuple[Shape, ...]) -> tuple[list[Labels], Labels]:
    """The labels of each operand's axes, and of the result's."""
    text, arrow, result = subscripts.replace(" ", "").partition("->")
    parts = text.split(",")
    for part in (*parts, result):
        strange = [letter for letter in part.replace("...", "", 1) if not letter.isalpha()]
        if strange:
            raise ValueError(
                f"einsum {subscripts!r}: {strange[0]!r} is no index; they are letters, and one '...' for each operand"
            )
    if len(parts) != len(shapes):
        raise ValueError(f"einsum {subscripts!r} describes {len(parts)} operands; got {len(shapes)}")
    terms = []
    for number, (part, shape) in enumerate(zip(parts, shapes, strict=True)):
        spare = len(shape) - len(part.replace("...", ""))
        if spare < 0 or (spare and "..." not in part):
            raise ValueError(
                f"einsum {subscripts!r}: {part!r} describes {_axes(len(shape) - spare)}; "
                f"operand {number} has the shape {tuple(shape)}"
            )
        terms.append(_spell(part, spare))
    widest = max(len(shape) - len(part.replace("...", "")) for part, shape in zip(parts, shapes, strict=True))
    known = Counter(label for labels in terms for label in labels)
    if not arrow:
        once = sorted(label for label, count in known.items() if count == 1 and not label.startswith("..."))
        return terms, (*_spell("...", widest), *once)
    output = _spell(result, widest)
    if widest and "..." not in result:
        raise ValueError(f"einsum {subscripts!r}: the result needs '...' for the axes that are broadcast")
    for label in output:
        if label not in known and not label.startswith("..."):
            raise ValueError(f"einsum {subscripts!r}: the result has the index {label!r}, which no operand has")
        if output.count(label) > 1:
            raise ValueError(f"einsum {subscripts!r}: the result has the index {label!r} twice")
    return terms, output


def _axes(count: int) -> str:
    return f"{count} axis" if count == 1 else f"{count} axes"


def _spell(part: str, spare: int) -> Labels:
    before, dots, after = part.partition("...")
    middle = (f"...{number}" for number in range(spare, 0, -1)) if dots else ()
    return (*before, *middle, *after)


def _lengths(subscripts: str, terms: list[Labels], shapes: tuple[Shape, ...]) -> dict[str, int]:
    """The length that each index runs over; 1 gives way to any other."""
    lengths: dict[str, int] = {}
    first: dict[str, int] = {}
    for number, (labels, shape) in enumerate(zip(terms, shapes, strict=True)):
        own: dict[str, int] = {}
        for label, length in zip(labels, shape, strict=True):
            repeated = label in own  # a diagonal is that of a square
            known = own[label] if repeated else lengths.get(label, 1)
            if length != known and (repeated or 1 not in (length, known)):
                name = f"axis {-int(label[3:])} of '...'" if label.startswith("...") else f"the index {label!r}"
                raise ValueError(
                    f"einsum {subscripts!r}: {name} has the length {known} in operand "
                    f"{number if repeated else first[label]} and {length} in operand {number}"
                )
            own[label] = length
            if lengths.get(label, 1) == 1:
                lengths[label], first[label] = length, number
    return lengths


def _reduce(labels: Labels, shape: Shape, uses: Counter[str]) -> tuple[_Alone | None, Labels]:
    """What makes an operand's indices unique, longer than 1 and all needed; and those indices."""
    sizes = list(zip(labels, shape, strict=True))
    diagonals = []
    for label in [label for label, count in Counter(labels).items() for _ in range(count - 1)]:
        i, j = [place for place, (other, _) in enumerate(sizes) if other == label][:2]
        order = [place for place in range(len(sizes)) if place not in (i, j)]
        axes = (*order, i, j)
        diagonals.append(_View(axes if axes != tuple(range(len(axes))) else None, None))
        sizes = [sizes[place] for place in (*order, i)]
    kept = [(label, length) for label, length in sizes if length != 1]
    dropped = tuple(length for _, length in kept) if len(kept) < len(sizes) else None
    summed = tuple(place for place, (label, _) in enumerate(kept) if uses[label] == 1)
    remaining = tuple(label for label, _ in kept if uses[label] > 1)
    change = _Alone(tuple(diagonals), dropped, summed) if diagonals or dropped is not None or summed else None
    return change, remaining


def _path(terms: list[Labels], output: Labels, lengths: dict[str, int]) -> list[tuple[int, int]]:
    """The pairs to contract, as opt_einsum writes them: both leave the list, their result joins its end."""
    count = len(terms)
    steps: Sequence[Sequence[int]] = [(0, count - 1 - done if done else 1) for done in range(count - 1)]
    if count > 2:
        try:
            import opt_einsum
        except ImportError:
            pass
        else:
            symbols = {label: opt_einsum.get_symbol(number) for number, label in enumerate(lengths)}
            spelt = ["".join(symbols[label] for label in labels) for labels in (*terms, output)]
            shapes = [tuple(lengths[label] for label in labels) for labels in terms]
            steps = opt_einsum.contract_path(f"{','.join(spelt[:-1])}->{spelt[-1]}", *shapes, shapes=True)[0]
    pairs = []
    for step in steps:
        rest = sorted(step)
        while len(rest) > 1:
            i, j = rest[0], rest[1]
            pairs.append((i, j))
            count -= 1
            rest = [place - 2 for place in rest[2:]] + [count - 1]
    return pairs


def _contraction(a: Labels, b: Labels, keep: set[str], lengths: dict[str, int]) -> tuple[_Pair, Labels]:
    """The matrix product that sums over what is not kept; and the indices of the result.

    Axes of both operands that stay are stacked over. Of those of one, the longest run becomes the rows (or columns)
    of its matrix; others are stacked too, as that moves nothing in memory.
    """
    summed = [label for label in a if label in b and label not in keep]
    for labels in sorted((a, b), key=lambda labels: prod(lengths[label] for label in labels)):
        if len(_longest_run(labels, summed, lengths)) == len(summed):
            summed = [label for label in labels if label in summed]  # the larger operand has the last word
    stack = [label for label in a if label in b and label in keep]
    rows, columns = [label for label in a if label not in b], [label for label in b if label not in a]
    row, column = _longest_run(a, rows, lengths), _longest_run(b, columns, lengths)
    own_a, own_b = [label for label in rows if label not in row], [label for label in columns if label not in column]

    def sizes(*groups: Sequence[str]) -> Shape:
        return tuple(lengths[label] for group in groups for label in group)

    lead_a = _trimmed((*sizes(stack, own_a), *[1] * len(own_b)))
    lead_b = _trimmed((*sizes(stack), *[1] * len(own_a), *sizes(own_b)))
    count = prod(sizes(summed))
    height: Shape = (prod(sizes(row)),)
    width: Shape = (prod(sizes(column)),)
    left, right = (*lead_a, *height, count), (*lead_b, count, *width)
    if not rows and not stack:
        left, height = (count,), ()
    if not columns and not stack:
        right, width = (count,), ()
    made = (*sizes(stack, own_a, own_b), *height, *width)
    natural = (*stack, *own_a, *own_b, *row, *column)
    pair = _Pair(
        matmul,
        _view(a, (*stack, *own_a, *row, *summed), sizes(a), left),
        _view(b, (*stack, *own_b, *summed, *column), sizes(b), right),
        None if made == sizes(natural) else _View(None, sizes(natural)),
    )
    return pair, natural


def _elementwise(a: Labels, b: Labels, wanted: Labels | None, lengths: dict[str, int]) -> tuple[_Pair, Labels]:
    """The product where nothing is summed, with its axes as wanted; and its indices."""
    order = tuple(dict.fromkeys(a + b)) if wanted is None else wanted
    whole = tuple(lengths[label] for label in order)
    separate = 0 < len(a) < len(order) and set(order[: len(a)]) == set(a) and not set(a) & set(b)

    def aligned(labels: Labels) -> _View | None:
        own = tuple(label for label in order if label in labels)
        sizes = tuple(lengths[label] for label in labels)
        spread = _trimmed(tuple(lengths[label] if label in labels else 1 for label in order))
        return _view(labels, own, sizes, (prod(sizes),) if separate else spread)

    if separate:  # the gradient of an outer product is one of a matrix and a vector
        result = None if len(order) == 2 else _View(None, whole)
        return _Pair(outer, aligned(a), aligned(b), result), order
    return _Pair(multiply, aligned(a), aligned(b), None), order


def _trimmed(shape: Shape) -> Shape:
    """Without lengths of 1 in front, which broadcasting adds by itself."""
    return shape[next((place for place, length in enumerate(shape) if length != 1), len(shape)) :]


def _longest_run(labels: Labels, chosen: Sequence[str], lengths: dict[str, int]) -> list[str]:
    """The chosen labels that lie side by side, where the most elements do: they make one axis without a copy."""
    runs: list[list[str]] = [[]]
    for label in labels:
        if label in chosen:
            runs[-1].append(label)
        else:
            runs.append([])
    return max(runs, key=lambda run: (len(run) > 0, prod(lengths[label] for label in run)))


def _view(labels: Labels, order: Labels, sizes: Shape, shape: Shape) -> _View | None:
    """From axes in one order to another, in a shape; None where that changes nothing."""
    axes = tuple(labels.index(label) for label in order)
    moved = axes != tuple(range(len(axes)))
    reshaped = tuple(sizes[axis] for axis in axes) != shape
    return _View(axes if moved else None, shape if reshaped else None) if moved or reshaped else None
