"""What array libraries refuse is said in one line of our own: what was given, and what goes."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback import nn
from pullback.autodiff.op import registry
from pullback.backends import Backend


def zeros(*shape: int) -> pb.Tensor:
    return pb.zeros(shape)


NO_AXIS: dict[str, Callable[[pb.Tensor], Any]] = {
    **{
        name: lambda x, name=name: getattr(pb, name)(x, axis=5)
        for name in (
            *("softmax", "log_softmax", "glu", "normalize", "sum", "prod", "max", "min", "mean", "var", "std"),
            *("cumulative_sum", "cumulative_prod", "sort", "argsort", "argmax", "argmin", "all", "any"),
            *("count_nonzero", "flip", "squeeze", "unstack"),
        )
    },
    "logsumexp": lambda x: pb.special.logsumexp(x, axis=5),
    "roll": lambda x: pb.roll(x, 1, axis=5),
    "repeat": lambda x: pb.repeat(x, 2, axis=5),
    "fft": lambda x: pb.fft.fft(pb.astype(x, "complex64"), axis=5),
    "fftn": lambda x: pb.fft.fftn(pb.astype(x, "complex64"), axes=(0, 5)),
    "vector_norm": lambda x: pb.linalg.vector_norm(x, axis=(0, 5)),
    "permute_dims": lambda x: pb.permute_dims(x, (0, 5)),
    "concat": lambda x: pb.concat([x, x], axis=5),
    "take": lambda x: pb.take(x, pb.asarray([0]), axis=5),
    "scatter_add": lambda x: pb.scatter_add(x, pb.asarray([0, 1]), size=3, axis=5),
    "vecdot": lambda x: pb.vecdot(x, x, axis=5),
    "cosine_similarity": lambda x: nn.CosineSimilarity(dim=5)(x, x),
}


@pytest.mark.parametrize("name", NO_AXIS)
def test_an_axis_that_there_is_not(name: str, place: Backend) -> None:
    with pytest.raises(IndexError, match=rf"^{name} got .*\(2, 3\).*5\)?; axes go from -2 to 1$"):
        NO_AXIS[name](zeros(2, 3))


AXIS: Any = 0.5
REFUSED: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("stack", lambda: pb.stack([zeros(2), zeros(2)], axis=5), IndexError, "(2,), (2,), axis=5; axes go from -2 to 1"),
    ("expand_dims", lambda: pb.expand_dims(zeros(2), axis=5), IndexError, "shape (2,), axis=5; axes go from -2 to 1"),
    ("sum", lambda: pb.sum(zeros(), axis=1), IndexError, "shape (), axis=1; it has no axes"),
    ("sum", lambda: pb.vmap(lambda x: pb.sum(x, axis=1))(zeros(4, 2)), IndexError, "(2,), axis=1; axes go from -1"),
    ("sum", lambda: pb.sum(zeros(2), axis=(0, 0)), ValueError, "shape (2,), axis=(0, 0); an axis is named once"),
    ("sum", lambda: pb.sum(zeros(2), axis=AXIS), TypeError, "axis=0.5; an axis is a whole number, and several are a"),
    ("sort", lambda: pb.sort(zeros(2), axis=AXIS), TypeError, "axis=0.5; an axis is a whole number, and several are"),
    ("add", lambda: pb.ones(3) + pb.ones(4), ValueError, "the shapes (3,), (4,); lengths go together, counted from"),
    ("where", lambda: pb.where(zeros(2) > 0, zeros(2), zeros(3)), ValueError, "(2,), (2,), (3,); lengths go together"),
    ("broadcast_to", lambda: pb.broadcast_to(zeros(2, 3), (3,)), ValueError, "(2, 3), shape=(3,); lengths go together"),
    ("broadcast_to", lambda: pb.broadcast_to(zeros(2), (3,)), ValueError, "(2,), shape=(3,); lengths go together"),
    ("matmul", lambda: zeros(2, 3) @ zeros(4, 5), ValueError, "(2, 3), (4, 5); axes that a product sums over are"),
    ("matmul", lambda: zeros(2, 3) @ zeros(4), ValueError, "(2, 3), (4,); axes that a product sums over are equally"),
    ("concat", lambda: pb.concat([zeros(2, 3), zeros(3, 4)]), ValueError, "(3, 4), axis=0; what is joined is equally"),
    ("concat", lambda: pb.concat([zeros(2, 3), zeros(3)]), ValueError, "(2, 3), (3,), axis=0; what is joined is"),
    ("stack", lambda: pb.stack([zeros(2), zeros(3)]), ValueError, "(2,), (3,), axis=0; what is stacked is of one"),
    ("reshape", lambda: zeros(2, 3).reshape((4,)), ValueError, "(2, 3), shape=(4,); the new shape holds as many"),
    ("squeeze", lambda: pb.squeeze(zeros(2, 3), axis=1), ValueError, "(2, 3), axis=1; an axis that goes is of"),
    ("permute_dims", lambda: pb.permute_dims(zeros(2, 3), (0,)), ValueError, "axes=(0,); the new order names every"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "call", "error", "words"), REFUSED, ids=[f"{name} {number}" for number, (name, *_) in enumerate(REFUSED)]
)
def test_shapes_and_axes_that_do_not_go(
    name: str, call: Callable[[], Any], error: type[Exception], words: str, place: Backend
) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(f"{name} got ")
    assert words in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert "During handling" not in shown
    assert Path(traceback.extract_tb(caught.value.__traceback__)[-1].filename).name == "errors.py"


@pytest.mark.parametrize("kind", [np.asarray, pb.Tensor], ids=["array", "Tensor"])
def test_other_failures_are_left_as_they_are(kind: Callable[[Any], Any]) -> None:
    @pb.op
    def failing(xp: Any, x: Any, /, *, axis: int = 0) -> Any:
        try:
            raise KeyError("first")
        except KeyError as cause:
            raise ValueError("then") from cause

    del registry["failing"]
    with pytest.raises(ValueError, match=r"^then$") as caught:
        failing(kind(np.ones(2)))
    assert isinstance(caught.value.__cause__, KeyError)
