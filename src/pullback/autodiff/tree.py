"""Arrays nested in dicts, lists and tuples, taken apart and put together again."""

from collections.abc import Callable
from typing import Any

__all__ = ["flatten", "tree_map"]


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of nested dicts, lists and tuples, and the function that nests other leaves alike.

    >>> leaves, rebuild = flatten({"w": 1, "b": (2, 3)})
    >>> leaves, rebuild([10, 20, 30])
    ([1, 2, 3], {'w': 10, 'b': (20, 30)})
    """
    leaves: list[Any] = []

    return leaves, _take(tree, leaves)


def _take(node: Any, leaves: list[Any]) -> Callable[[list[Any]], Any]:
    if isinstance(node, dict):
        parts = {key: _take(value, leaves) for key, value in node.items()}
        return lambda new: {key: build(new) for key, build in parts.items()}
    if isinstance(node, (list, tuple)):
        items = [_take(value, leaves) for value in node]
        if hasattr(node, "_fields"):
            return lambda new: type(node)(*(build(new) for build in items))
        kind = list if isinstance(node, list) else tuple
        return lambda new: kind(build(new) for build in items)
    leaves.append(node)
    number = len(leaves) - 1
    return lambda new: new[number]


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`function` of each leaf, and of the leaves in the same place of the other trees.

    >>> tree_map(lambda a, b: a + b, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    leaves, rebuild = flatten(tree)
    return rebuild([function(*group) for group in zip(leaves, *(flatten(t)[0] for t in others), strict=True)])
