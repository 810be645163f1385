"""Sharpness-aware minimization against its definition."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim

CURVATURES = np.asarray([1.0, 10.0])


def variables():
    values = [np.asarray([1.0, -2.0]), np.asarray(0.5)]
    return [pb.tensor(value, requires_grad=True) for value in values], values


def gradients(a, b):
    """Of sum(CURVATURES a ** 2) b."""
    return [2 * CURVATURES * a * b, np.sum(CURVATURES * a**2)]


def defined(values, rho, adaptive, lr, steps):
    """Foret et al. 2021, equations 2 and 3; Kwon et al. 2021, equation 9."""
    for _ in range(steps):
        gs = gradients(*values)
        sizes = [np.abs(w) if adaptive else np.ones_like(w) for w in values]
        norm = np.sqrt(sum(np.sum((t * g) ** 2) for t, g in zip(sizes, gs, strict=True)))
        climbed = [w + rho * t * t * g / norm for w, t, g in zip(values, sizes, gs, strict=True)]
        values = [w - lr * g for w, g in zip(values, gradients(*climbed), strict=True)]
    return values


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("by_closure", [False, True, "which leaves forgetting to the caller"])
def test_steps_are_those_of_the_definition(place, adaptive, by_closure):
    (a, b), values = variables()
    optimizer = optim.SAM([a, b], optim.SGD, rho=0.3, adaptive=adaptive, lr=0.01)

    def closure():
        if by_closure is True:
            optimizer.zero_grad()
        loss = (pb.tensor(CURVATURES) * a * a).sum() * b
        loss.backward()
        return loss

    for _ in range(5):
        if by_closure:
            before = (CURVATURES * a.numpy() ** 2).sum() * b.item()
            assert optimizer.step(closure).item() == pytest.approx(before)
            optimizer.zero_grad()
        else:
            closure()
            optimizer.first_step(zero_grad=True)
            assert a.grad is None
            closure()
            optimizer.second_step(zero_grad=True)
    expected = defined(values, 0.3, adaptive, 0.01, 5)
    np.testing.assert_allclose(a.numpy(), expected[0], rtol=1e-10)
    np.testing.assert_allclose(b.numpy(), expected[1], rtol=1e-10)


def test_the_base_optimizer_keeps_its_flat_buffers_and_is_scheduled_and_saved():
    model = nn.Linear(3, 2)
    optimizer = optim.SAM(model.parameters(), optim.Adam, lr=0.1)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def closure():
        optimizer.zero_grad()
        loss = (model(pb.ones((4, 3))) ** 2).mean()
        loss.backward()
        return loss

    losses = []
    for _ in range(3):
        losses.append(optimizer.step(closure).item())
        buffers = {id(p.array.base) for p in model.parameters()}
        schedule.step()
    assert len(buffers) == 1
    assert losses[0] > losses[1] > losses[2]
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0125)
    again = optim.SAM(model.parameters(), optim.Adam)
    again.load_state_dict(optimizer.state_dict())
    assert again.param_groups[0]["lr"] == pytest.approx(0.0125)
    assert again.state_dict()["state"][0]["step"] == 3


def test_halves_of_a_step_out_of_turn_are_refused():
    w = pb.tensor([1.0], requires_grad=True)
    optimizer = optim.SAM([w], optim.SGD, lr=0.1)
    with pytest.raises(RuntimeError, match="second_step goes back from first_step"):
        optimizer.second_step()
    w.grad = pb.ones(1)
    optimizer.first_step()
    with pytest.raises(RuntimeError, match="first_step was called twice"):
        optimizer.first_step()
    with pytest.raises(TypeError, match="two passes in a step"):
        optimizer.step()
    w.grad = None
    with pytest.raises(RuntimeError, match=r"SAM expects a closure that calls backward\(\)"):
        optim.SAM([w], optim.SGD).step(lambda: (w * w).sum())


@pytest.mark.parametrize("rho", [-1, float("inf"), "large", None])
def test_a_distance_that_makes_no_sense_is_refused(rho):
    with pytest.raises(ValueError, match="SAM expects rho to be a finite number of at least 0; got "):
        optim.SAM([pb.tensor([1.0], requires_grad=True)], optim.SGD, rho=rho)


@pytest.mark.parametrize(
    "base", [lambda w: optim.SGD([w]), lambda w: optim.LBFGS, lambda w: "SGD"], ids=["made", "LBFGS", "name"]
)
def test_the_base_optimizer_is_a_class_that_takes_one_gradient_a_step(base):
    w = pb.tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match="SAM expects the class of an optimizer that takes one gradient a step"):
        optim.SAM([w], base(w))


def test_the_climb_of_half_precision_is_measured_in_single():
    w = pb.tensor([0.0, 0.0], dtype="float16", requires_grad=True)
    optimizer = optim.SAM([w], optim.SGD, rho=0.5, lr=0.1)
    w.grad = pb.tensor([300.0, 400.0], dtype="float16")  # whose squares are beyond float16
    optimizer.first_step()
    np.testing.assert_allclose(w.numpy(), [0.3, 0.4], rtol=1e-3)
