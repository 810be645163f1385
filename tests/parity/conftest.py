"""Fixtures of the comparisons with PyTorch, which are skipped one by one where it is not installed."""

import importlib
from importlib.util import find_spec

import numpy as np
import pytest

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def pytest_collection_modifyitems(items):
    if find_spec("torch") is None:
        absent = pytest.mark.skip(reason="PyTorch is not installed: pip install 'pullback[parity]'")
        for item in items:
            if item.get_closest_marker("parity"):
                item.add_marker(absent)


@pytest.fixture(scope="session")
def torch():
    found = importlib.import_module("torch")
    found.set_num_threads(1)  # for arrays as small as these its threads only wait for each other
    return found


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def agree(dtype):
    """Asserts that a Tensor of ours and one of PyTorch's have the same shape, dtype and values."""

    def check(ours, theirs, what=""):
        ours, theirs = ours.numpy(), theirs.detach().numpy()
        assert ours.dtype == theirs.dtype == dtype, what
        assert ours.shape == theirs.shape, what
        np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype], err_msg=what)

    return check
