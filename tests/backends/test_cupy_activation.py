"""CuPy's kernels of activation functions, on the processor: any size, any address, and numbers at their bounds."""

import inspect
from typing import Any

import numpy as np
import pytest
from against_lines import against_lines
from emulated_gpu import COMPILER, emulated_gpu
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import TOLERANCE

from pullback.autodiff.op import registry
from pullback.backends.cupy_kernels import kernels

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]

CASES: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("relu", "selu", "hardsigmoid", "hardswish", "tanhshrink", "softsign", "sigmoid")},
    **{name: {} for name in ("logsigmoid", "silu", "mish", "tanh")},
    "leaky_relu": {"negative_slope": 0.3},
    "threshold": {"threshold": 0.5, "value": -2.0},
    "elu": {"alpha": 0.7},
    "celu": {"alpha": 0.7},
    "hardtanh": {"min_val": -0.5, "max_val": 0.25},
    "hardshrink": {"lambd": 0.2},
    "softshrink": {"lambd": 0.2},
    "softplus": {"beta": 2.0, "threshold": 1.0},
    "gelu": {"approximate": "none"},
    "gelu tanh": {"approximate": "tanh"},
}


def of_rule(name: str, x: Any, metadata: dict[str, Any]) -> tuple[Any, str, dict[str, Any]]:
    """What the vjp sees beside g, x or the output; its name; and of the metadata what it takes."""
    op = registry[name]
    rule = op.rules[0]
    seen = op(x, **metadata) if "y" in inspect.signature(rule.function).parameters else x
    return seen, rule.name, {key: metadata[key] for key in rule.metadata}


@pytest.mark.parametrize("case", CASES)
def test_every_size_and_address_is_gone_through(case: str) -> None:
    name, metadata = case.split()[0], CASES[case]

    @settings(deadline=None, max_examples=6)
    @given(
        size=st.sampled_from([0, 1, 3, 16, 33, 2048, 4200]),
        dtype=st.sampled_from(["float32", "float64", "float16"]),
        offset=st.integers(0, 1),
    )
    def check(size: int, dtype: str, offset: int) -> None:
        x = (3 * np.random.default_rng(0).standard_normal(size + offset)).astype(dtype)[offset:]
        x[::5] = np.round(x[::5])  # kinks too
        seen, rule, kept = of_rule(name, x, metadata)
        g = np.random.default_rng(1).standard_normal(size).astype(dtype)
        if size:
            against_lines(name, x, tolerance=TOLERANCE[dtype], **metadata)
            against_lines(rule, g, seen, tolerance=TOLERANCE[dtype], **kept)
        else:
            with emulated_gpu():
                assert kernels[name](x, **metadata).shape == kernels[rule](g, seen, **kept).shape == (0,)

    check()


@pytest.mark.parametrize("case", CASES)
def test_numbers_at_their_bounds_are_what_the_lines_make_of_them(case: str) -> None:
    name, metadata = case.split()[0], CASES[case]
    x = np.asarray([np.nan, np.inf, -np.inf, 0.0, 90.0, -90.0, 1e18, -1e18], np.float32)
    with np.errstate(all="ignore"):
        seen, rule, kept = of_rule(name, x, metadata)
        against_lines(name, x, tolerance=1e-5, **metadata)
        against_lines(rule, np.full_like(x, 2), seen, tolerance=1e-5, **kept)


def test_arrays_may_lie_in_memory_in_any_way_and_others_are_declined() -> None:
    x = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)
    against_lines("gelu", x.T, tolerance=1e-5, approximate="none")
    against_lines("silu.vjp(x)", np.broadcast_to(x[0], x.shape), x, tolerance=1e-5)
    with emulated_gpu():
        assert kernels["relu"](np.arange(3)) is NotImplemented
        assert kernels["silu.vjp(x)"](x[0], x) is NotImplemented
        assert kernels["gelu"](x, approximate="some") is NotImplemented
        assert kernels["softshrink"](x, lambd=-1.0) is NotImplemented
