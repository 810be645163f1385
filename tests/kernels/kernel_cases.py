"""What a backend's kernels are compared on: the examples of each one's op, and what the op's own lines make of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pullback.autodiff import verify
from pullback.autodiff.op import Op, registry
from pullback.autodiff.tree import flatten, tree_map
from pullback.backends import Backend, is_half, open_backend

__all__ = ["TOLERANCE", "calls_of", "draw", "updates_of", "what_the_lines_say", "what_the_rule_sees"]

TOLERANCE = {"bfloat16": 2e-2, "float16": 3e-3, "float32": 2e-5, "float64": 1e-12}
"""By how much what a kernel gives may differ from what the lines give, for each data type it computes in."""


def draw(example: Any, backend: Backend, dtype: str = "float64") -> list[Any]:
    """The example's inputs as arrays of the backend, where it makes new ones."""
    return verify.place(example.draw(), backend, dtype)


def calls_of(table: Mapping[str, Any]) -> list[Any]:
    """Parameters for pytest: an op, one of its rules or None, and an example, for each forward and vjp in a table."""
    return [
        pytest.param(op, rule, example, id=f"{name}-{number}")
        for op in registry.values()
        for rule in (None, *op.rules)
        if (name := op.name if rule is None else rule.name) in table
        for number, example in enumerate(op.examples)
    ]


def updates_of(table: Mapping[str, Any]) -> list[Any]:
    """Parameters for pytest: an op and an example, for each update in place in a table."""
    return [
        pytest.param(op, example, id=f"{op.name}-{number}")
        for op in registry.values()
        if f"{op.name}.in_place" in table
        for number, example in enumerate(op.examples)
    ]


def what_the_rule_sees(
    op: Op[..., Any], rule: Any, example: Any, inputs: list[Any]
) -> tuple[list[Any], dict[str, Any]]:
    """A rule's arguments: a drawn gradient, and what it saves of the example's inputs and output."""
    metadata = {**op.defaults, **example.metadata}
    full = [*inputs, *[None] * (len(op.inputs) - len(inputs))]
    y = op(*inputs, **example.metadata)
    values = dict(zip(op.inputs, full, strict=True)) | {"y": y}
    for name, x in zip(op.inputs, full, strict=True):
        if hasattr(x, "shape"):
            values |= {f"{name}_shape": x.shape, f"{name}_dtype": x.dtype}
    if isinstance(y, tuple):
        values |= {f"y{number}": part for number, part in enumerate(y)}
    real, imaginary = np.random.default_rng(7), np.random.default_rng(8)

    def drawn(a: Any) -> Any:
        g = np.asarray(real.standard_normal(a.shape), dtype=a.dtype)
        return g + np.asarray(imaginary.standard_normal(a.shape) * 1j, dtype=a.dtype) if a.dtype.kind == "c" else g

    g = tree_map(drawn, y)
    return [g, *(values[name] for name in rule.saves)], {name: metadata[name] for name in rule.metadata}


def what_the_lines_say(
    table: Mapping[str, Any], op: Op[..., Any], rule: Any, example: Any, dtype: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What a kernel of NumPy's arrays gives for an example, and what the op's own lines do. Skips what it declines.

    dtype: of what the kernel is given. The lines see float16 and bfloat16 as float32, and so is what they give.
    """
    numpy = open_backend("numpy")
    half = is_half(dtype)
    inputs = draw(example, numpy, "float32" if half else dtype)
    function = op if rule is None else rule
    if rule is None:
        arguments, metadata = inputs, example.metadata
    else:
        arguments, metadata = what_the_rule_sees(op, rule, example, inputs)
    given = arguments
    if half:
        narrow = np.dtype(dtype)
        given = tree_map(lambda x: x.astype(narrow) if getattr(x, "dtype", None) == np.float32 else x, arguments)
        arguments = tree_map(lambda x: x.astype(np.float32) if getattr(x, "dtype", None) == narrow else x, given)
    got = table[function.name](*given, **metadata)
    if got is NotImplemented:
        pytest.skip("the kernel leaves this call to the reference")
    expected = function.function(numpy.namespace, *arguments, **metadata)
    if rule is None:
        got, expected = example.seen(numpy.namespace, got), example.seen(numpy.namespace, expected)
    pairs = list(zip(map(np.asarray, flatten(got)[0]), map(np.asarray, flatten(expected)[0]), strict=True))
    if rule is not None:  # the engine sums what was broadcast, so a kernel may do so itself
        pairs = [(a, b.sum(axis=tuple(range(b.ndim - a.ndim)), dtype=b.dtype)) for a, b in pairs]
    return [a for a, _ in pairs], [b for _, b in pairs]
