"""An op is a pure function of arrays. Swap what the arrays are, and the same lines do another job."""

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim
from pullback.backends import Backend, backend_of
from pullback.compile import trace


def make(seed: int = 0) -> tuple[nn.Module, optim.Optimizer, pb.Tensor, pb.Tensor]:
    """A multilayer perceptron, its optimizer and a batch, on the current backend."""
    pb.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    x = pb.random.normal((16, 6))
    y = pb.astype(pb.random.uniform((16,), 0, 3), "int64")
    return model, optim.Adam(model.parameters(), lr=0.01), x, y


def train(model: nn.Module, optimizer: optim.Optimizer, x: Any, y: Any, steps: int) -> list[float]:
    criterion = nn.CrossEntropyLoss()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_it_trains_where_the_arrays_are_and_stays_there(place: Backend) -> None:
    model, optimizer, x, y = make()
    losses = train(model, optimizer, x, y, 60)
    assert losses[-1] < 0.5 * losses[0]
    for value in [*model.parameters(), *optimizer.state_tensors(), *(p.grad for p in model.parameters())]:
        assert backend_of(value.array) is backend_of(x.array)
        assert value.device == x.device
        assert value.dtype == pb.float32


def test_every_backend_takes_the_same_path(place: Backend) -> None:
    with pb.use("numpy"):
        expected = train(*make(), 20)
    np.testing.assert_allclose(train(*make(), 20), expected, rtol=2e-5)


def test_computing_follows_the_data_whatever_backend_is_current(place: Backend) -> None:
    model, optimizer, x, y = make()
    with pb.use("numpy"):
        losses = train(model, optimizer, x, y, 5)
    assert np.isfinite(losses).all()
    assert all(backend_of(p.array) is backend_of(x.array) and p.device == x.device for p in model.parameters())


def test_its_second_derivatives_are_those_of_finite_differences(place: Backend) -> None:
    model, _, x, y = make()
    names, parameters = zip(*model.state_dict().items(), strict=True)

    def loss(*values: Any) -> Any:
        state = dict(zip(names, values, strict=True))
        return nn.CrossEntropyLoss()(nn.functional_call(model, state, x.astype("float64")), y)

    pb.check_grads(loss, parameters, order=2)


def test_its_hessian_is_symmetric_and_agrees_with_the_product() -> None:
    model, _, x, y = make()
    bias = model[2].bias.astype("float64").detach()
    wide = x.astype("float64")
    state = {name: value.astype("float64") for name, value in model.state_dict().items()}

    def loss(b: Any) -> Any:
        return nn.CrossEntropyLoss()(nn.functional_call(model, {**state, "2.bias": b}, wide), y)

    matrix = pb.hessian(loss)(bias).numpy()
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-14)
    v = pb.random.normal((3,), dtype="float64")
    np.testing.assert_allclose(pb.hvp(loss, [bias], [v])[1][0].numpy(), matrix @ v.numpy(), rtol=1e-10)


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "SGD", "RMSprop", "Adagrad"])
def test_its_step_is_traced_and_the_replay_equals_eager_to_the_bit(kind: str, place: Backend) -> None:
    def start() -> Any:
        model, _, x, y = make()
        options = {"momentum": 0.9} if kind == "SGD" else {}
        return model, getattr(optim, kind)(model.parameters(), lr=0.01, **options), x, y

    model, optimizer, x, y = start()
    criterion = nn.CrossEntropyLoss()

    def step(hyper: Any, x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step(hyper=hyper)
        return loss

    state = [*model.parameters(), *optimizer.state_tensors()]
    before = [s.numpy().copy() for s in state]
    traced = trace(step, optimizer.next_hyper(), x, y, state=state)
    for s, old in zip(state, before, strict=True):
        np.testing.assert_array_equal(s.numpy(), old)

    eager_model, eager_optimizer, *_ = start()
    for number in range(5):
        (expected,) = train(eager_model, eager_optimizer, x + number, y, 1)
        hyper = [eager_optimizer.hyper(group, number + 1) for group in optimizer.param_groups]
        assert traced(hyper, x + number, y).item() == expected
    for p, q in zip(model.parameters(), eager_model.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())

    text = str(traced.program)
    assert text.startswith("program(v0: float32[8, 6]")
    assert text.count("\n") == len(traced.program.instructions) + 1
    assert "linear" in text or "matmul" in text
    assert "return" in text.splitlines()[-1]
