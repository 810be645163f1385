"""Where the batch axis goes: the tables of rules, what rules are made of, and those of whole families of functions.

A rule is called as `rule(kind, function, *inputs, **options)`: `function` is the package's own, to be called on the
values below; inputs of `kind` that are mapped have the batch along their first axis.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeAlias

from .array import Batched, below

__all__ = [
    "all_mapped", "creation", "elementwise", "is_mapped", "kept_unless_mapped", "ndim_of", "one_by_one", "op_rule",
    "op_rules", "plain", "rule", "rules", "shift", "spread", "unrelated", "wrap",
]  # fmt: skip

Rule: TypeAlias = Callable[..., Any]
Kind: TypeAlias = type[Batched]

rules: dict[str, Rule] = {}
"""For functions of the standard, by name."""
op_rules: dict[str, Rule] = {}
"""For ops of the package whose lines would not do, or not as well, by name. They get no `function`."""

creation = frozenset(("arange", "empty", "eye", "full", "linspace", "ones", "zeros", "fft.fftfreq", "fft.rfftfreq"))
"""What makes new arrays: the same for all of the batch."""
unrelated = frozenset(("can_cast", "finfo", "iinfo", "isdtype", "__array_namespace_info__"))
"""What has nothing to do with arrays."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule under the names of the functions that it is for."""

    def enter(function: Rule) -> Rule:
        rules.update(dict.fromkeys(names, function))
        return function

    return enter


def op_rule(name: str) -> Callable[[Rule], Rule]:
    """Enter a rule under the name of an op."""

    def enter(function: Rule) -> Rule:
        op_rules[name] = function
        return function

    return enter


def is_mapped(kind: Kind, x: Any) -> bool:
    """Whether a value differs from one of the batch to another."""
    return isinstance(x, kind) and x.mapped


def plain(kind: Kind, x: Any) -> Any:
    """What a batched array of this level holds; anything else as it is, since it is from below."""
    return x.value if isinstance(x, kind) else x


def ndim_of(x: Any) -> int:
    """The number of axes; none for a number."""
    return len(x.shape) if hasattr(x, "shape") else 0


def wrap(kind: Kind, y: Any, mapped: bool = True) -> Any:
    """A result, or several, as batched arrays."""
    return tuple(kind(part, mapped) for part in y) if isinstance(y, (tuple, list)) else kind(y, mapped)


def shift(axis: Any) -> Any:
    """An axis (or axes) of one array as that of the batch; those that count from the end stay."""
    if isinstance(axis, int):
        return axis + 1 if axis >= 0 else axis
    return tuple(map(shift, axis))


def spread(kind: Kind, x: Any, ndim: int) -> Any:
    """A mapped value with axes of length 1 behind the batch's, so that one of the batch has `ndim` axes."""
    if not is_mapped(kind, x):
        return plain(kind, x)
    if ndim <= x.ndim:
        return x.value
    return below.reshape(x.value, (x.value.shape[0], *[1] * (ndim - x.ndim), *x.shape))


def all_mapped(kind: Kind, inputs: Sequence[Any]) -> list[Any]:
    """The values of all inputs with the batch along a first axis, also of those that do not differ."""
    count = next(x.value.shape[0] for x in inputs if is_mapped(kind, x))
    return [
        x.value if is_mapped(kind, x) else below.broadcast_to(value := plain(kind, x), (count, *value.shape))
        for x in inputs
    ]


def kept_unless_mapped(function: Rule) -> Rule:
    """A rule for calls in which something is mapped; where nothing is, the result is the same for all."""

    @wraps(function)
    def either(kind: Kind, f: Rule, *inputs: Any, **options: Any) -> Any:
        if any(is_mapped(kind, x) for x in (*inputs, *options.values())):
            return function(kind, f, *inputs, **options)
        own = {name: plain(kind, x) for name, x in options.items()}
        return wrap(kind, f(*(plain(kind, x) for x in inputs), **own), False)

    return either


@rule(
    *("abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert"),
    *("bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clip", "conj", "copysign"),
    *("cos", "cosh", "divide", "equal", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal"),
    *("hypot", "imag", "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log10", "log1p", "log2"),
    *("logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "multiply"),
    *("negative", "nextafter", "not_equal", "positive", "pow", "real", "reciprocal", "remainder", "round", "sign"),
    *("signbit", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "trunc", "where"),
)
def elementwise(kind: Kind, f: Rule, *inputs: Any, **options: Any) -> Any:
    """For functions that broadcast their inputs."""
    ndim = max(map(ndim_of, inputs))
    mapped = any(is_mapped(kind, x) for x in inputs)
    return wrap(kind, f(*(spread(kind, x, ndim) for x in inputs), **options), mapped)


@rule(
    *("astype", "matrix_transpose", "tril", "triu", "linalg.cholesky", "linalg.det", "linalg.diagonal", "linalg.eig"),
    *("linalg.eigh", "linalg.eigvals", "linalg.eigvalsh", "linalg.inv", "linalg.matrix_norm", "linalg.matrix_power"),
    *("linalg.matrix_rank", "linalg.matrix_transpose", "linalg.pinv", "linalg.qr", "linalg.slogdet", "linalg.svd"),
    *("linalg.svdvals", "linalg.trace"),
)
@kept_unless_mapped
def of_last_axes(kind: Kind, f: Rule, x: Any, *rest: Any, **options: Any) -> Any:
    """For functions of one element, or of the last axes: they take stacks as they come."""
    if any(is_mapped(kind, option) for option in options.values()):  # a tolerance for each
        return one_by_one(kind, f, x, *rest, **options)
    return wrap(kind, f(x.value, *rest, **options))


@rule("nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values")
def data_dependent(kind: Kind, f: Rule, *_: Any, **options: Any) -> Any:
    """Refused: the results would differ in shape."""
    raise TypeError(
        "inside vmap no function is taken whose result has a shape that depends on values, as masks have: "
        "use pb.where(mask, x, 0) instead"
    )


@kept_unless_mapped
def one_by_one(kind: Kind, f: Rule, *inputs: Any, **options: Any) -> Any:
    """Without a rule: the function of each, and the results stacked."""

    def of(i: int, x: Any) -> Any:
        return below.getitem(x.value, i) if is_mapped(kind, x) else plain(kind, x)

    count = next(x.value.shape[0] for x in (*inputs, *options.values()) if is_mapped(kind, x))
    results = [f(*(of(i, x) for x in inputs), **{name: of(i, x) for name, x in options.items()}) for i in range(count)]
    if isinstance(results[0], (tuple, list)):
        return tuple(kind(below.stack(parts)) for parts in zip(*results, strict=True))
    return kind(below.stack(results))
