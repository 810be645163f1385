"""Training in mixed precision: as good as in float32, with parameters and state of float32."""

import logging

import numpy as np
import pytest

import pullback as pb
from pullback import models, nn, optim
from pullback.data import load_digits
from pullback.train import Trainer

pytestmark = pytest.mark.on_numpy

ml_dtypes = pytest.importorskip("ml_dtypes")


def perceptron():
    x, y = digits()
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.BatchNorm1d(32), nn.Linear(32, 10)), x, y


def convolutional():
    x, y = digits()
    layers = (
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.SiLU(), nn.Flatten(), nn.Linear(256, 10)),
    )
    return nn.Sequential(*layers), x, y


def language():
    text = np.frombuffer(b"the quick brown fox jumps over the lazy dog " * 40, dtype="uint8").astype("int64") - 32
    rows = text[: 96 * 17].reshape(96, 17)
    model = models.GPT(96, block_size=16, n_layer=1, n_head=2, n_embd=32)
    return model, rows[:, :-1], rows[:, 1:]


def digits():
    x, y = load_digits().arrays
    return np.asarray(x)[:480].reshape(-1, 8, 8, 1).astype("float32"), np.asarray(y)[:480]


EPOCHS = {"perceptron": 4, "convolutional": 3, "language": 8}
NETWORKS = {"perceptron": perceptron, "convolutional": convolutional, "language": language}


def trained(network, precision, epochs=None):
    """The losses of some epochs, and the trainer."""
    pb.manual_seed(0)
    model, x, y = NETWORKS[network]()
    logits = model if network != "language" else nn.Sequential(model)
    rate = 5e-3 if network == "language" else 3e-3  # at 1e-2 roundings grow to several percent, either way
    optimizer = optim.AdamW(model.parameters(), lr=rate)
    trainer = Trainer(
        logits, nn.CrossEntropyLoss(), optimizer, precision=precision, clip_norm=1.0, progress=False,
        restore_best_weights=False,
    )  # fmt: skip
    if precision == "float16":
        trainer.scaler.update(2.0**8)  # at which no step is skipped
    history = trainer.fit((pb.asarray(x), pb.asarray(y)), epochs=epochs or EPOCHS[network])
    return [row["loss"] for row in history.rows], trainer


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("precision", ["bfloat16", "float16", "tf32"])
def test_the_loss_falls_as_in_float32(network, precision):
    expected, _ = trained(network, "float32")
    losses, trainer = trained(network, precision)
    assert expected[-1] < 0.6 * expected[0]
    np.testing.assert_allclose(losses, expected, rtol=0 if precision == "tf32" else 0.04)
    assert (losses == expected) == (precision == "tf32")  # on a CPU there is no TF32
    assert trainer.scaler.skipped == 0
    assert {p.dtype.name for p in trainer.model.parameters()} == {"float32"}
    assert {s.dtype.name for s in trainer.optimizer.state_tensors()} == {"float32"}
    assert {b.dtype.name for b in trainer.model.buffers()} <= {"float32", "int64"}


def test_a_step_that_overflows_is_skipped_and_reported(caplog):
    pb.manual_seed(0)
    model, x, y = perceptron()
    trainer = Trainer(
        model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), precision="float16", progress=False
    )
    trainer.scaler.update(2.0**24)
    with caplog.at_level(logging.INFO, logger="pullback"):
        history = trainer.fit((pb.asarray(x), pb.asarray(y)), epochs=3)
    skipped = [r.getMessage() for r in caplog.records if "was skipped" in r.getMessage()]
    assert 1 <= len(skipped) == trainer.scaler.skipped < 20
    assert trainer.scaler.get_scale() == 2.0 ** (24 - len(skipped))
    losses = [row["loss"] for row in history.rows]
    assert losses[-1] < 0.6 * losses[0]
    assert all(np.isfinite(p.numpy()).all() for p in model.parameters())


def test_evaluation_measures_float32_and_predictions_are_in_full():
    _, trainer = trained("perceptron", "bfloat16", epochs=1)
    x, y = digits()
    assert trainer.predict(pb.asarray(x)).dtype == "float32"
    assert trainer.evaluate((pb.asarray(x), pb.asarray(y)))["loss"] == pytest.approx(
        float(pb.cross_entropy(trainer.predict(pb.asarray(x)), pb.asarray(y)).item()), rel=0.02
    )


@pytest.mark.parametrize("make", [lambda p: optim.SAM(p, optim.SGD, lr=0.1), lambda p: optim.LBFGS(p)])
def test_float16_is_not_for_optimizers_that_compute_a_loss_several_times(make):
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"computes a loss several times in a step.*precision='bfloat16'"):
        Trainer(model, nn.MSELoss(), make(model.parameters()), precision="float16")
    with pytest.raises(ValueError, match="precision is 'float32', 'tf32', 'bfloat16' or 'float16'; got 'half'"):
        Trainer(model, nn.MSELoss(), make(model.parameters()), precision="half")


LAYERS = {
    "LSTM": (lambda: nn.LSTM(4, 5, num_layers=2, bidirectional=True), (3, 2, 4)),
    "GRU": (lambda: nn.GRU(4, 5), (3, 2, 4)),
    "RNN": (lambda: nn.RNN(4, 5), (3, 2, 4)),
    "LSTMCell": (lambda: nn.LSTMCell(4, 5), (2, 4)),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2), None),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1), (3, 2, 4)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 3, 3), (2, 5, 5, 4)),
    "Bilinear": (lambda: nn.Bilinear(4, 4, 2), None),
    "Upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (2, 5, 5, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (2, 4)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, affine=True), (2, 5, 5, 4)),
    "PReLU": (lambda: nn.PReLU(), (2, 4)),
}
CALLS = {"MultiheadAttention": lambda layer, x: layer(x, x, x), "Bilinear": lambda layer, x: layer(x, x)}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_give_of_float32_what_they_give_but_for_rounding(name, dtype):
    pb.manual_seed(0)
    build, shape = LAYERS[name]
    layer = build().eval()
    draws = np.random.default_rng(0).standard_normal(shape or (3, 2, 4)).astype("float32")

    def results():
        x = pb.tensor(draws, requires_grad=True)
        y = CALLS.get(name, lambda layer, x: layer(x))(layer, x)
        y = y[0] if isinstance(y, tuple) else y
        (pb.astype(y, "float32") ** 2).sum().backward()
        found = [y, x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]
        layer.zero_grad()
        return [t.numpy().astype("float32") for t in found], [t.dtype.name for t in found[1:]]

    expected, _ = results()
    with pb.autocast(dtype):
        got, kinds = results()
    assert set(kinds) == {"float32"}
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=0.03 * np.abs(b).max() + 1e-6)
