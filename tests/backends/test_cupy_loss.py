"""CuPy's kernels of cross-entropy, on the processor: rows at any address, classes that weigh, are ignored or wrong."""

from typing import Any

import numpy as np
import pytest
from against_lines import against_lines, run
from emulated_gpu import COMPILER
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kernel_cases import TOLERANCE

from pullback.backends.cupy_kernels import loss

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]


def drawn(seed: int, *shape: int, dtype: str = "float32") -> Any:
    return np.asarray(3 * np.random.default_rng(seed).standard_normal(shape), dtype)


def both(
    logits: Any, target: Any, weight: Any = None, tolerance: float = 1e-5, dtype: str | None = None, **facts: Any
) -> None:
    facts = {"ignore_index": -100, "label_smoothing": 0.0, "reduction": "mean", **facts}
    of_losses = dtype or logits.dtype.name
    exact = min(tolerance, TOLERANCE[of_losses])
    y = against_lines("cross_entropy", logits, target, weight, tolerance=exact, dtype=dtype, **facts)
    assert y.dtype == of_losses
    g = drawn(9, *y.shape, dtype=of_losses)
    gx = against_lines("cross_entropy.vjp(logits)", g, logits, target, weight, tolerance=tolerance, **facts)
    assert gx.dtype == logits.dtype


# Rows of odd length begin at any address, and long ones are for a block.
@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(1, 40),
    classes=st.sampled_from([1, 2, 10, 37, 130, 516, 523]),
    dtype=st.sampled_from(["float32", "float64", "float16", "float16 in float32", "bfloat16 in float32"]),
    targets=st.sampled_from(["int32", "int64", "uint8"]),
    reduction=st.sampled_from(["mean", "sum", "none"]),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    is_weighted=st.booleans(),
    ignored=st.sampled_from([-100, 0]),
)
@example(3, 5003, "float32", "int64", "mean", 0.1, True, -100)
@example(2, 9001, "float16", "int64", "none", 0.0, False, -100)
@example(3, 9001, "bfloat16 in float32", "int64", "mean", 0.1, True, -100)
def test_losses_and_gradients_are_those_of_the_lines(
    rows: int, classes: int, dtype: str, targets: str, reduction: str, smoothing: float, is_weighted: bool, ignored: int
) -> None:
    dtype, _, computed_in = dtype.partition(" in ")
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")
    target = np.random.default_rng(1).integers(0, min(classes, 256), rows).astype(targets)
    weight = np.abs(drawn(2, classes, dtype=dtype)) if is_weighted else None
    if is_weighted:
        weight[classes // 2] = 0
    both(
        drawn(0, rows, classes, dtype=dtype),
        target,
        weight,
        TOLERANCE[dtype],
        dtype=computed_in or None,
        reduction=reduction,
        label_smoothing=smoothing,
        ignore_index=ignored,
    )


def test_many_losses_are_added_up_by_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "_ADDED", 100)
    monkeypatch.setattr(loss, "_MOST", 64)
    target = np.random.default_rng(1).integers(0, 2, 700)
    both(drawn(0, 700, 2), target, np.asarray([0.5, 2.0], np.float32), ignore_index=0)
    both(drawn(0, 700, 2), target, reduction="sum")


def test_logits_may_have_more_axes_lie_anyhow_and_be_beyond_all_bounds() -> None:
    target = np.random.default_rng(1).integers(0, 12, (4, 5))
    both(drawn(0, 4, 5, 12), target, reduction="none")
    both(drawn(0, 12, 5, 4).T, target.T.copy().T)
    both(drawn(0, 4 * 5 * 12 + 1)[1:].reshape(4, 5, 12), target)  # not at a multiple of 16 bytes
    both(drawn(0, 12), np.asarray(7))
    logits = drawn(0, 6, 9)
    logits[:, 3] = -np.inf
    logits[1, 4] = 3e38
    both(logits, np.asarray([0, 1, 4, 8, 8, 8]), reduction="none")
    facts: dict[str, Any] = {"ignore_index": -100, "label_smoothing": 0.0, "reduction": "mean"}
    gx = run("cross_entropy.vjp(logits)", np.ones((), np.float32), logits, np.full(6, 3), None, **facts)
    assert np.isfinite(gx).all()


def test_what_is_impossible_costs_infinity_and_nothing_at_all_is_not_a_number() -> None:
    logits = drawn(0, 3, 4)
    logits[0, 2] = -np.inf
    assert run("cross_entropy", logits, np.asarray([2, 0, 0])) == np.inf
    facts: dict[str, Any] = {"ignore_index": 1, "label_smoothing": 0.0, "reduction": "mean"}
    ones = np.ones(3, int)
    assert np.isnan(run("cross_entropy", logits, ones, **facts))
    g = np.ones((), np.float32)
    assert not run("cross_entropy.vjp(logits)", g, logits, ones, None, **facts).any()


@pytest.mark.parametrize("target", [-1, 4, 2**40])
def test_a_class_that_there_is_not_makes_nan(target: int) -> None:
    logits, classes = drawn(0, 3, 4), np.asarray([0, target, 3])
    losses = run("cross_entropy", logits, classes, reduction="none")
    np.testing.assert_array_equal(np.isnan(losses), [False, True, False])
    assert np.isnan(run("cross_entropy", logits, classes))
    facts: dict[str, Any] = {"ignore_index": -100, "label_smoothing": 0.0, "reduction": "sum"}
    gx = run("cross_entropy.vjp(logits)", np.ones((), np.float32), logits, classes, None, **facts)
    np.testing.assert_array_equal(np.isnan(gx).all(axis=1), [False, True, False])
    assert np.isfinite(run("cross_entropy", logits, classes, ignore_index=target))


def test_ignored_rows_are_not_looked_at() -> None:
    logits = drawn(0, 3, 4)
    logits[1] = np.nan
    facts: dict[str, Any] = {"ignore_index": 2, "label_smoothing": 0.1, "reduction": "mean"}
    target = np.asarray([0, 2, 1])
    assert np.isfinite(run("cross_entropy", logits, target, **facts))
    gx = run("cross_entropy.vjp(logits)", np.ones((), np.float32), logits, target, None, **facts)
    np.testing.assert_array_equal(gx[1], 0)


def test_losses_do_not_depend_on_the_order_of_threads() -> None:
    logits, target = drawn(0, 300, 7), np.random.default_rng(1).integers(0, 7, 300)
    once, again = (run("cross_entropy", logits, target, backwards=way) for way in (False, True))
    np.testing.assert_array_equal(once, again)
