"""Activations against PyTorch's where the parity table does not go: at extreme inputs, and what is drawn."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import pullback as pb

pytestmark = pytest.mark.parity

EXTREMES = [0.0, -0.0, 1e-45, 1.0, -1.0, 20.0, -20.0, 100.0, -100.0, 1e4, -1e4, 1e20, -1e20, np.inf, -np.inf]
NAMES = [
    "celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish",
    "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink",
]  # fmt: skip


FUNCTIONS = {
    **{name: (name, {}, {}) for name in NAMES},
    "threshold": ("threshold", {"threshold": 0.0, "value": 0.5}, {"threshold": 0.0, "value": 0.5}),
    "gelu by tanh": ("gelu", {"approximate": "tanh"}, {"approximate": "tanh"}),
    **{name: (name, {"axis": -1}, {"dim": -1}) for name in ("softmax", "log_softmax", "softmin", "glu")},
}


@pytest.mark.parametrize("repeats", [2, 4000], ids=["small", "large"])
@pytest.mark.parametrize(("name", "ours", "theirs"), FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_extreme_inputs_have_finite_gradients_where_pytorch_has(torch, dtype, name, ours, theirs, repeats):
    rows = np.asarray([[x, 0.5] for x in EXTREMES], dtype=dtype)
    x = np.tile(rows, (repeats, 1))
    mine, other = pb.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    with np.errstate(all="ignore"):
        y = getattr(pb, name)(mine, **ours)
        y.backward(pb.ones_like(y.detach()))
    expected = getattr(torch.nn.functional, name)(other, **theirs)
    expected.backward(torch.ones_like(expected))
    for got, right in ((y, expected.detach()), (mine.grad, other.grad)):
        finite = np.isfinite(right.numpy())
        np.testing.assert_allclose(got.numpy()[finite], right.numpy()[finite], rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        *(("float16", "float32"), ("bfloat16", "float32"), ("float32", "float64"), ("float64", "float32")),
        *(("int64", "float32"), ("float32", "bfloat16"), ("float16", "float16")),
    ],
)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_is_computed_in_the_type_that_is_asked_for(torch, name, given, asked):
    x = np.round(4 * np.random.default_rng(0).standard_normal((5, 7)))
    mine, other = pb.tensor(x).astype(given), torch.tensor(x).to(getattr(torch, given))
    if given != "int64":
        mine.requires_grad_()
        other.requires_grad_()
    y, expected = (
        getattr(pb, name)(mine, axis=-1, dtype=asked),
        getattr(torch, name)(other, -1, dtype=getattr(torch, asked)),
    )
    assert y.dtype == asked
    digits = {"float64": 1e-14, "float32": 1e-6, "float16": 1e-3, "bfloat16": 2**-7}
    pairs = [(y, expected, digits[asked])]
    if given != "int64":
        weight = x[::-1].copy()
        y.backward(pb.asarray(weight, dtype=asked))
        expected.backward(torch.tensor(weight).to(getattr(torch, asked)))
        assert mine.grad.dtype == given
        pairs.append((mine.grad, other.grad, 8 * max(digits[given], digits[asked])))
    for got, right, tolerance in pairs:
        a, b = got.astype("float64").numpy(), right.detach().double().numpy()
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("tau", [0.5, 3.0])
def test_gumbel_softmax_has_the_same_distribution(torch, tau):
    logits = np.asarray([[0.5, -1.0, 2.0, 0.0]] * 3000, dtype="float32")
    ours = pb.gumbel_softmax(pb.tensor(logits), tau=tau, generator=pb.Generator(1)).numpy()
    torch.manual_seed(1)
    theirs = torch.nn.functional.gumbel_softmax(torch.tensor(logits), tau=tau).numpy()
    for mine, other in zip(ours.T, theirs.T, strict=True):
        assert ks_2samp(mine, other).pvalue > 1e-3
