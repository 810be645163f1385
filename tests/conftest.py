"""What all tests share: the backends they run on."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import pullback as pb
from pullback.backends import Backend


class Place(NamedTuple):
    """A backend and one of its devices that tests put arrays on."""

    backend: str
    device: Any = None


# array_api_strict's second device is nobody's default: what lands on the default one is seen.
_PLACES = {
    "numpy": Place("numpy"),
    "array_api_strict": Place("array_api_strict", "device1"),
    "cupy": Place("cupy"),
    "torch": Place("torch"),
}
_ASKED = os.environ.get("PULLBACK_TEST_BACKENDS", "numpy,array_api_strict").split(",")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", [_PLACES[name] for name in _ASKED], ids=_ASKED, indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The backend in use inside the test, for each backend that is tested."""
    with pb.use(request.param.backend, request.param.device) as backend:
        yield backend


@pytest.fixture(autouse=True)
def _same_seed() -> None:
    pb.manual_seed(0)


@pytest.fixture(autouse=True)
def _numpy_where_it_is_asked_for(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("on_numpy") is None:
        yield
    else:
        with pb.use("numpy"):
            yield
