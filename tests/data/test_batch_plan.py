import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.data import BatchPlan

COUNTS = st.integers(1, 500)


@pytest.mark.parametrize(("samples", "expected"), [(50000, 196), (50176, 196), (50177, 197), (256, 1), (1, 1)])
def test_batches_are_counted_as_on_paper(samples, expected):
    plan = BatchPlan(samples=samples, batch_size=256, epochs=10)
    assert plan.batches_per_epoch == expected
    assert plan.iterations == 10 * expected


@given(COUNTS, COUNTS, COUNTS, st.booleans())
def test_slices_cover_an_epoch_in_order_and_agree_with_the_counts(samples, batch_size, epochs, drop_last):
    plan = BatchPlan(samples, batch_size, epochs, drop_last)
    slices = list(plan.slices())
    batches = [range(samples)[rows] for rows in slices]
    assert [n for batch in batches for n in batch] == list(range(plan.samples_per_epoch))
    assert len(batches) == plan.batches_per_epoch
    assert plan.iterations == epochs * len(batches)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert samples - plan.samples_per_epoch == (samples % batch_size if drop_last else 0)
    assert list(plan.slices(epochs)) == slices[epochs:]


@pytest.mark.parametrize("name", ["samples", "batch_size", "epochs"])
def test_counts_are_whole_and_positive(name):
    good = {"samples": 10, "batch_size": 3, "epochs": 2}
    with pytest.raises(ValueError, match=f"{name} is at least 1; got 0"):
        BatchPlan(**{**good, name: 0})
    for wrong in (2.0, "3", None, True):
        with pytest.raises(TypeError, match=f"{name} is a whole number"):
            BatchPlan(**{**good, name: wrong})
