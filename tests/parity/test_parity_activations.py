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


@pytest.mark.parametrize("tau", [0.5, 3.0])
def test_gumbel_softmax_has_the_same_distribution(torch, tau):
    logits = np.asarray([[0.5, -1.0, 2.0, 0.0]] * 3000, dtype="float32")
    ours = pb.gumbel_softmax(pb.tensor(logits), tau=tau, generator=pb.Generator(1)).numpy()
    torch.manual_seed(1)
    theirs = torch.nn.functional.gumbel_softmax(torch.tensor(logits), tau=tau).numpy()
    for mine, other in zip(ours.T, theirs.T, strict=True):
        assert ks_2samp(mine, other).pvalue > 1e-3
