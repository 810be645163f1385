"""What all tests share: the backends they run on, and how they draw their examples."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

import pullback as pb
from pullback.backends import Backend

settings.register_profile("unhurried", deadline=None)  # other work on the machine may take a turn
settings.load_profile("unhurried")


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


# What a library cannot do is no fault of an op's: PyTorch has no slices with negative steps, and through
# array-api-compat neither all of the set functions nor what is made of them.
_BEYOND: dict[str, dict[str, Any]] = {
    "torch": {"slice": (slice(1, 3), slice(None, None, -2)), "unique_all": None, "unique_values": None}
}


@pytest.fixture(autouse=True)
def _skip_what_a_library_cannot_do(request: pytest.FixtureRequest) -> None:
    """For tests of one op on one backend."""
    given = getattr(getattr(request.node, "callspec", None), "params", {})
    if {"op", "example", "place"} <= given.keys():
        beyond = _BEYOND.get(given["place"].backend, {})
        name = given["op"].name
        if name in beyond and beyond[name] == given["example"].metadata.get("key"):
            pytest.skip(f"{given['place'].backend} cannot do this")


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
