"""A training step reads nothing from the device but the loss, when that is asked for."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_in_cupy import stand_in_cupy

import pullback as pb
from pullback import nn, optim
from pullback.backends import backend
from pullback.models import GPT

strict = pytest.importorskip("array_api_strict")

VALUES_OF_ONE = ("__bool__", "__int__", "__float__", "__complex__", "__index__", "item")
"""What CuPy copies to the host without a word. array_api_strict refuses only NumPy's own conversion on its devices."""


@pytest.fixture(params=["array_api_strict", "cupy", "a stand-in for CuPy", "a strict stand-in for CuPy"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The backend in use keeps its arrays on a device, and tells of every value that leaves it by another way."""
    name = request.param
    with ExitStack() as stack:
        if "stand-in" in name:
            stack.enter_context(stand_in_cupy(strict="strict" in name))
            name = "cupy"
        elif not pb.backends()[name].usable:
            pytest.skip(pb.backends()[name].reason)
        current = stack.enter_context(pb.use(name, {"array_api_strict": "device1"}.get(name)))
        if request.param != "cupy":
            for method in VALUES_OF_ONE:
                monkeypatch.setattr(type(current.asarray(0.0)), method, _refuse, raising=False)
        yield current


def _refuse(array: Any) -> Any:
    pytest.fail(f"a value of an array of shape {array.shape} was read behind the backend's back")


def mlp() -> tuple[nn.Module, Callable[..., Any], Any]:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    return model, nn.CrossEntropyLoss(label_smoothing=0.1), (np.ones((4, 6), "float32"), np.asarray([0, 2, 1, 1]))


def cnn() -> tuple[nn.Module, Callable[..., Any], Any]:
    model = nn.Sequential(
        *(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.GELU(), nn.MaxPool2d(2)),
        *(nn.Dropout2d(0.2), nn.Flatten(), nn.Linear(8, 3)),
    )
    images = np.random.default_rng(0).standard_normal((4, 4, 4, 1)).astype("float32")
    return model, nn.CrossEntropyLoss(), (images, np.asarray([0, 2, 1, 1]))


def gpt() -> tuple[nn.Module, Callable[..., Any], Any]:
    model = GPT(vocab_size=11, block_size=8, n_layer=1, n_head=2, n_embd=8, dropout=0.1)
    tokens = np.random.default_rng(0).integers(0, 11, (2, 9))
    return model, nn.CrossEntropyLoss(), (tokens[:, :-1], tokens[:, 1:])


def lstm() -> tuple[nn.Module, Callable[..., Any], Any]:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.lstm, self.head = nn.Embedding(7, 4), nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 1)

        def forward(self, tokens: Any) -> Any:
            return pb.squeeze(self.head(self.lstm(self.table(tokens))[0][:, -1, :]), axis=-1)

    tokens = np.random.default_rng(0).integers(0, 7, (3, 5))
    return Last(), nn.BCEWithLogitsLoss(), (tokens, np.asarray([0.0, 1.0, 1.0], "float32"))


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "AdamW": lambda parameters: optim.AdamW(parameters, lr=1e-3),
    "SGD": lambda parameters: optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-2),
    "Muon": lambda parameters: optim.Muon([p for p in parameters if p.ndim == 2], lr=1e-3),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("make", [mlp, cnn, gpt, lstm])
def test_a_training_step_reads_nothing_but_the_loss(device: Any, make: Any, optimizer: str) -> None:
    model, measure, batch = make()
    inputs, target = (pb.Tensor(device.from_host(part)) for part in batch)
    rule = OPTIMIZERS[optimizer](list(model.parameters()))
    schedule = optim.lr_scheduler.OneCycleLR(rule, max_lr=1e-2, total_steps=10)
    losses = []
    with pb.watch_transfers() as transfers:
        for _ in range(2):
            rule.zero_grad()
            loss = measure(model(inputs), target)
            loss.backward()
            optim.clip_grad_norm_(model.parameters(), 1.0)
            rule.step()
            schedule.step()
            losses.append(loss)
        assert transfers == []
        values = [loss.item() for loss in losses]
    assert [transfer.nbytes for transfer in transfers] == [4, 4]
    assert np.isfinite(values).all()
    assert values[0] != values[1]


def test_evaluation_reads_nothing_but_what_it_tells(device: Any) -> None:
    model, measure, batch = cnn()
    with pb.no_grad(), pb.watch_transfers() as transfers:
        inputs, target = (pb.Tensor(device.from_host(part)) for part in batch)
        model.eval()
        metric = pb.train.metrics.Accuracy()
        for _ in range(3):
            prediction = model(inputs)
            measure(prediction, target)
            metric.update(prediction, target)
        assert transfers == []
        metric.compute()
    assert 1 <= len(transfers) <= 2


READS: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x.item(),
    "float": float,
    "int": int,
    "bool": bool,
    "complex": complex,
    "index": lambda x: range(10)[x.astype("int64")],
    "numpy": lambda x: x.numpy(),
    "tolist": lambda x: x.tolist(),
    "repr": repr,
    "format": lambda x: f"{x:.3f}",
    "asarray": np.asarray,
}


@pytest.mark.parametrize("read", READS)
def test_every_way_to_a_value_is_counted(device: Any, read: str) -> None:
    x = pb.asarray(2.0)
    with pb.watch_transfers() as transfers:
        READS[read](x)
    assert len(transfers) == 1
    assert (transfers[0].shape, transfers[0].device) == ((), device.device_name(device.device))
    assert Path(transfers[0].where.rpartition(":")[0]) == Path(__file__)


def test_what_lies_in_the_hosts_memory_is_not_counted() -> None:
    for name, place in (("numpy", None), ("array_api_strict", "CPU_DEVICE")):
        with pb.use(name, place), pb.watch_transfers() as transfers:
            pb.ones(3).sum().item()
        assert transfers == []


def test_watchers_within_each_other_and_in_other_threads_see_all(device: Any) -> None:
    x = pb.ones(3)
    with pb.watch_transfers() as outer:
        with pb.watch_transfers() as inner:
            thread = threading.Thread(target=x.numpy)
            thread.start()
            thread.join()
        x.numpy()
    x.numpy()
    assert [len(inner), len(outer)] == [1, 2]
    assert outer[0] == inner[0]


def test_values_are_checked_where_they_are_at_hand_and_not_on_a_device(device: Any) -> None:
    target = device.from_host(np.asarray([0, 1]))
    logits = pb.zeros((2, 2))
    with pb.watch_transfers() as transfers:
        nn.CrossEntropyLoss()(logits, pb.Tensor(target))
        nn.BCELoss()(pb.full((2,), 0.5), pb.ones(2))
    assert transfers == []
    with pb.use("numpy"), pytest.raises(ValueError, match="found a class outside"):
        nn.CrossEntropyLoss()(pb.zeros((2, 2)), pb.asarray([0, 2]))
    assert backend() is device
