import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.train import EarlyStopping

VALUES = st.lists(st.floats(-10, 10), min_size=1, max_size=30)


@given(VALUES, st.integers(1, 5), st.sampled_from([0.0, 0.5]), st.sampled_from(["min", "max"]))
def test_it_stops_after_patience_epochs_without_an_improvement(values, patience, min_delta, mode):
    stopping = EarlyStopping("x", patience, min_delta, mode)
    sign = 1 if mode == "min" else -1
    best, since = float("inf"), 0
    for value in values:
        better = best - sign * value > min_delta
        best, since = (sign * value, 0) if better else (best, since + 1)
        assert stopping.update(value) is better
        assert stopping.best == sign * best
        assert stopping.stop == (since >= patience)


def test_nan_is_never_an_improvement():
    stopping = EarlyStopping(patience=2)
    assert [stopping.update(value) for value in (float("nan"), 1.0, float("nan"))] == [False, True, False]


def test_accuracy_is_better_when_greater_unless_said_otherwise():
    assert EarlyStopping("val_accuracy").mode == "max"
    assert EarlyStopping("r2").mode == "max"
    assert EarlyStopping("val_loss").mode == "min"
    assert EarlyStopping("val_accuracy", mode="min").mode == "min"


@pytest.mark.parametrize("options", [{"patience": 0}, {"min_delta": -1.0}, {"mode": "best"}])
def test_bad_settings_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        EarlyStopping(**options)


def test_patience_is_any_whole_number_but_no_truth_value():
    assert EarlyStopping(patience=np.int64(3)).patience == 3
    with pytest.raises(ValueError, match="patience is a whole number"):
        EarlyStopping(patience=True)
