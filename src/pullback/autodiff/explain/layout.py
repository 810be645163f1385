"""Where the boxes of a graph go: in layers from left to right, none over another (Sugiyama et al., 1981).

Each step lies one layer to the right of the last of its inputs. An arrow across several layers passes each of them
at a place kept free for it, and all the arrows from one step share these places. In each layer the order follows
that of the neighbours, so that few arrows cross.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["Box", "Layout", "lay_out"]

_BETWEEN_LAYERS, _BETWEEN_BOXES, _BEND = 56.0, 26.0, 14.0
_SWEEPS = 8


class Box(NamedTuple):
    """A rectangle, by its upper left corner."""

    x: float
    y: float
    width: float
    height: float


Point: TypeAlias = tuple[float, float]


class Layout(NamedTuple):
    """Where all is: the size of the whole, the boxes, and the points that lines pass.

    From a box whose arrows go further than the next layer a trunk leads through the layers between. Each arrow
    leaves the trunk, or the box itself, in the layer before its own.
    """

    width: float
    height: float
    boxes: list[Box]
    trunks: list[list[Point]]
    arrows: dict[tuple[int, int], tuple[Point, Point]]


def lay_out(sizes: Sequence[tuple[float, float]], inputs: Mapping[int, Sequence[int]]) -> Layout:
    """Place boxes of given widths and heights, numbered so that inputs come before what they go into."""
    layer = [0] * len(sizes)
    for box in range(len(sizes)):
        layer[box] = 1 + max((layer[i] for i in inputs.get(box, ())), default=-1)
    users: dict[int, list[int]] = {box: [] for box in range(len(sizes))}
    for box, given in inputs.items():
        for i in given:
            users[i].append(box)
    for box, given in users.items():  # a variable stands next to what it is first used in
        if not inputs.get(box) and given:
            layer[box] = min(layer[user] for user in given) - 1
    columns, neighbours = _columns(layer, users)
    _order(columns, neighbours)
    return _coordinates(sizes, columns, neighbours, layer, inputs)


Place: TypeAlias = tuple[int, int]
"""A box's number and a layer: the box itself in its own, and in the layers after it where its arrows pass."""


def _columns(
    layer: Sequence[int], users: Mapping[int, Sequence[int]]
) -> tuple[list[list[Place]], dict[Place, list[Place]]]:
    """The places of each layer, and each place's neighbours in the layers beside it."""
    columns: list[list[Place]] = [[] for _ in range(max(layer) + 1)]
    neighbours: dict[Place, list[Place]] = {}
    for box, own in enumerate(layer):
        last = max((layer[user] for user in users[box]), default=own)
        for at in range(own, max(last, own + 1)):
            columns[at].append((box, at))
            neighbours.setdefault((box, at), [])
    for box, own in enumerate(layer):
        for at in range(own + 1, max((layer[user] for user in users[box]), default=own)):
            _join(neighbours, (box, at - 1), (box, at))
        for user in users[box]:
            _join(neighbours, (box, layer[user] - 1), (user, layer[user]))
    return columns, neighbours


def _join(neighbours: dict[Place, list[Place]], a: Place, b: Place) -> None:
    neighbours[a].append(b)
    neighbours[b].append(a)


def _order(columns: Sequence[list[Place]], neighbours: Mapping[Place, Sequence[Place]]) -> None:
    """Sort each layer by the middle of its neighbours, forward and backward in turn."""
    rank = {place: float(i) for column in columns for i, place in enumerate(column)}
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            middle = {}
            for place in column:
                beside = [rank[n] for n in neighbours[place] if (n[1] < place[1]) == forward]
                middle[place] = sum(beside) / len(beside) if beside else rank[place]
            column.sort(key=middle.__getitem__)
            rank.update((place, float(i)) for i, place in enumerate(column))


def _coordinates(
    sizes: Sequence[tuple[float, float]],
    columns: Sequence[Sequence[Place]],
    neighbours: Mapping[Place, Sequence[Place]],
    layer: Sequence[int],
    inputs: Mapping[int, Sequence[int]],
) -> Layout:
    def height(place: Place) -> float:
        return sizes[place[0]][1] if layer[place[0]] == place[1] else _BEND

    middle: dict[Place, float] = {}
    for column in columns:
        top = 0.0
        for place in column:
            middle[place] = top + height(place) / 2
            top += height(place) + _BETWEEN_BOXES
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            wished = []
            for place in column:
                beside = [middle[n] for n in neighbours[place] if (n[1] < place[1]) == forward]
                wished.append(sum(beside) / len(beside) if beside else middle[place])
            middle.update(zip(column, _apart(wished, [height(place) for place in column]), strict=True))
    highest = min(y - height(place) / 2 for place, y in middle.items())
    middle = {place: y - highest for place, y in middle.items()}

    widths = [max(sizes[box][0] if layer[box] == at else 0.0 for box, at in column) for column in columns]
    left = [sum(widths[:at]) + at * _BETWEEN_LAYERS for at in range(len(columns))]
    boxes = []
    for box, (width, tall) in enumerate(sizes):
        at = layer[box]
        boxes.append(Box(left[at] + (widths[at] - width) / 2, middle[box, at] - tall / 2, width, tall))

    def right(place: Place) -> Point:
        """Where a line leaves a place."""
        box, at = place
        return (boxes[box].x + boxes[box].width if layer[box] == at else left[at] + widths[at]), middle[place]

    trunks = []
    for box in range(len(sizes)):
        passed = [(box, at) for at in range(layer[box] + 1, len(columns)) if (box, at) in middle]
        trunks.append([right((box, layer[box])), *(p for i in passed for p in ((left[i[1]], middle[i]), right(i)))])
    arrows = {
        (i, box): (right((i, layer[box] - 1)), (boxes[box].x, middle[box, layer[box]]))
        for box, given in inputs.items()
        for i in given
    }
    whole = max(y + height(place) / 2 for place, y in middle.items())
    return Layout(left[-1] + widths[-1], whole, boxes, trunks, arrows)


def _apart(wished: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Middles as near to the wished ones as they can be, in this order and none over another.

    Blocks that would overlap are moved together, to the mean of what their members wish for.
    """
    blocks: list[tuple[float, float, list[float]]] = []  # the first middle, the number of members, their offsets
    for i, wish in enumerate(wished):
        first, count, offsets = wish, 1.0, [0.0]
        while blocks:
            before, size, earlier = blocks[-1]
            gap = (heights[i - len(offsets)] + heights[i - len(offsets) + 1]) / 2 + _BETWEEN_BOXES
            if before + earlier[-1] + gap <= first:
                break
            blocks.pop()
            shift = earlier[-1] + gap
            first = (before * size + (first - shift) * count) / (size + count)
            offsets = [*earlier, *(shift + offset for offset in offsets)]
            count += size
        blocks.append((first, count, offsets))
    return [first + offset for first, _, offsets in blocks for offset in offsets]
