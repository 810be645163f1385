"""Backward hooks against PyTorch's."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn

pytestmark = pytest.mark.parity

X = np.random.default_rng(0).standard_normal((5, 3)).astype("float32")


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # PyTorch says so where no input learns
@pytest.mark.parametrize("learns", [True, False])
def test_backward_hooks_see_what_those_of_pytorch_see(torch, learns):
    def seen_by(library, make, layer):
        log = []
        layer.register_full_backward_pre_hook(lambda m, g: (g[0] * 2,))
        layer.register_full_backward_hook(lambda m, gx, gy: log.append((gx[0], gy[0])))
        layer.register_full_backward_hook(lambda m, gx, gy: None if gx[0] is None else (gx[0] + 1,))
        x = make(X)
        x.requires_grad_(learns)
        (layer(x) ** 2).sum().backward()
        arrays = [*log[0], x.grad if learns else None, layer.weight.grad]
        return [None if a is None else np.asarray(a.detach()) for a in arrays]

    theirs = torch.nn.Linear(3, 2)
    ours = nn.Linear(3, 2)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    for mine, other in zip(seen_by(pb, pb.tensor, ours), seen_by(torch, torch.tensor, theirs), strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            np.testing.assert_allclose(mine, other, rtol=1e-5)
