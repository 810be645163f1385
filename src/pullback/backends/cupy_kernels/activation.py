"""Kernels of activation functions and their vjps: one pass over memory each."""

from collections.abc import Iterable
from typing import Any, Final

from ..backend import Array
from .launch import FLOATING, Source, driver, type_of
from .rows import are_floating, contiguous
from .table import kernel

_FAMILIES: Final[tuple[dict[str, dict[str, float]], ...]] = (
    {
        "relu": {},
        "leaky_relu": {"negative_slope": 0.01},
        "threshold": {"threshold": 0.0, "value": 0.0},
        "hardtanh": {"min_val": -1.0, "max_val": 1.0},
        "hardsigmoid": {},
        "hardswish": {},
        "hardshrink": {"lambd": 0.5},
        "softshrink": {"lambd": 0.5},
        "softsign": {},
    },
    {"elu": {"alpha": 1.0}, "celu": {"alpha": 1.0}, "selu": {}},
    {"sigmoid": {}, "logsigmoid": {}, "silu": {}, "tanhshrink": {}, "tanh": {}},
    {"softplus": {"beta": 1.0, "threshold": 20.0}, "mish": {}},
    {"gelu": {}, "gelu_tanh": {}},
)
"""What is compiled together: each function, what it takes beside x in the order in which activation.cu does, and what
that is by default."""

_GELUS: Final = {"none": "gelu", "tanh": "gelu_tanh"}

_BLOCK: Final = 256
_PACKS: Final = 2
"""How many times 16 bytes a thread reads of each array, as `packs_of_thread` in activation.cu."""


def _sources_of(family: dict[str, dict[str, float]]) -> dict[str, Source]:
    functions = [f"{name}_{of}" for name in family for of in ("value", "vjp")]
    return dict.fromkeys(functions, Source("activation", functions, FLOATING))


_sources: Final = {name: source for family in _FAMILIES for name, source in _sources_of(family).items()}


def _run(function: str, arrays: tuple[Array, ...], numbers: Iterable[Any] = ()) -> Any:
    x = arrays[-1]
    if not are_floating(*arrays) or any(a.shape != x.shape for a in arrays):
        return NotImplemented
    y = driver().xp.empty(x.shape, x.dtype)
    blocks = -(-x.size * x.dtype.itemsize // (16 * _BLOCK * _PACKS))
    first, second, *_ = *map(float, numbers), 0.0, 0.0
    arrays = *map(contiguous, arrays), y
    _sources[function].launch(function, type_of(x.dtype), blocks, _BLOCK, *arrays, x.size, first, second)
    return y


@kernel("gelu", declines=True)
def _(x: Array, *, approximate: str = "none") -> Any:
    return _run(f"{_GELUS[approximate]}_value", (x,)) if approximate in _GELUS else NotImplemented


@kernel("gelu.vjp(x)", declines=True)
def _(g: Array, x: Array, *, approximate: str) -> Any:
    return _run(f"{_GELUS[approximate]}_vjp", (g, x)) if approximate in _GELUS else NotImplemented


def _enter(name: str, function: str, defaults: dict[str, float]) -> None:
    """Enter a kernel that hands its numbers to a function of a source in their order."""

    @kernel(name, declines=True)
    def _(*arrays: Array, **given: Any) -> Any:
        numbers = {**defaults, **given}
        if numbers.get("lambd", 0) < 0:
            return NotImplemented  # which softshrink's lines refuse
        return _run(function, arrays, [numbers[key] for key in defaults])


for _family in _FAMILIES:
    for _name, _defaults in _family.items():
        if _name not in _GELUS.values():
            _enter(_name, f"{_name}_value", _defaults)
            _enter(f"{_name}.vjp(x)", f"{_name}_vjp", _defaults)
