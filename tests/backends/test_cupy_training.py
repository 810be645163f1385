"""Whole training steps by CuPy's kernels, emulated: they lose what NumPy loses, step by step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from emulated_gpu import COMPILER, numpy_with_cupys_kernels

import pullback as pb
from pullback import models, nn, optim
from pullback.backends import open_backend

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]


def perceptron() -> tuple[nn.Module, Any, Any]:
    model = nn.Sequential(nn.Linear(20, 33), nn.GELU(), nn.Dropout(0.2), nn.Linear(33, 7))
    return model, pb.random.normal((19, 20)), pb.asarray(np.arange(19) % 7)


def convolutional() -> tuple[nn.Module, Any, Any]:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 5)
    )
    return model, pb.random.normal((4, 8, 8, 3)), pb.asarray(np.arange(4))


def transformer() -> tuple[nn.Module, Any, Any]:
    model = models.GPT(vocab_size=29, block_size=12, n_layer=1, n_head=2, n_embd=16, dropout=0.1)
    tokens = np.random.default_rng(0).integers(0, 29, (2, 13))
    return model, pb.asarray(tokens[:, :-1]), pb.asarray(tokens[:, 1:])


def losses(make: Callable[[], tuple[nn.Module, Any, Any]], steps: int) -> list[float]:
    pb.manual_seed(0)
    model, x, y = make()
    optimizer, loss = optim.AdamW(model.parameters(), lr=1e-2), nn.CrossEntropyLoss()
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        found.append(value.item())
    return found


def test_autocast_casts_no_logits() -> None:
    pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")
    model, x, y = transformer()
    namespace, cast = open_backend("numpy").namespace, []
    astype = namespace.astype

    def watched(array: Any, dtype: Any, /, **options: Any) -> Any:
        cast.append(array.shape)
        return astype(array, dtype, **options)

    with numpy_with_cupys_kernels() as gpu, pytest.MonkeyPatch.context() as patch:
        patch.setattr(namespace, "astype", watched)
        with pb.autocast("bfloat16"):
            logits = model(x)
            loss = pb.cross_entropy(logits, y)
        loss.backward()
    assert logits.dtype == "bfloat16"
    assert loss.dtype == "float32"
    assert {"cross_entropy<bfloat16, float>", "cross_entropy_vjp<bfloat16, float>"} <= set(gpu.launched)
    assert cast  # others are: parameters, and what goes into products
    assert logits.shape not in cast


EVERY = {"cross_entropy", "cross_entropy_vjp", "sums_of_parts", "scale_parts", "update"}


@pytest.mark.parametrize(
    ("make", "kernels"),
    [
        (perceptron, {"gelu_value", "gelu_vjp", "random_mask", "masked", "sum_columns"}),
        (convolutional, {"conv", "conv_weight", "normalize_columns", "pull_columns", "relu_vjp", "max_unpool"}),
        (
            transformer,
            {"attention", "attention_keys_vjp", "gather_rows", "layer_norm", "layer_norm_vjp", "random_mask"},
        ),
    ],
)
def test_losses_are_those_of_numpy(make: Callable[[], Any], kernels: set[str]) -> None:
    expected = losses(make, 4)
    with numpy_with_cupys_kernels() as gpu:
        got = losses(make, 4)
    np.testing.assert_allclose(got, expected, rtol=1e-4)
    assert got[-1] < got[0]
    assert {name.partition("<")[0] for name in gpu.launched} >= kernels | EVERY
