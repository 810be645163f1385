"""What may be loaded where, by kind of dtype."""

import numpy as np
import pytest

from pullback.nn.loading import misfit

KINDS = [("bool",), ("int8", "uint64"), ("float16", "float64"), ("complex64",)]


@pytest.mark.parametrize(
    ("given", "own", "fits"),
    [(g, o, i <= j) for i, row in enumerate(KINDS) for g in row for j, column in enumerate(KINDS) for o in column],
)
def test_a_dtype_fits_where_its_kind_is_held(given, own, fits):
    complaint = misfit(np.ones(2, given), np.ones(2, own))
    assert complaint is None if fits else complaint == f"dtype {given} given, {own} expected"
