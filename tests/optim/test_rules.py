"""What is particular to one optimizer or another: closed forms, and what they refuse."""

import numpy as np
import pytest

import pullback as pb
from pullback import optim


def variable(*values, dtype="float64"):
    return pb.tensor(list(values), dtype=dtype, requires_grad=True)


def test_plain_descent_follows_its_closed_form():
    w = variable(1.0, -3.0)
    optimizer = optim.SGD([w], lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(w.numpy(), np.asarray([1.0, -3.0]) * 0.8**20, rtol=1e-13)


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad])
def test_the_first_step_goes_by_the_sign_of_the_gradient_alone(kind):
    options = {"weight_decay": 0.0, "eps": 0.0} | ({"alpha": 0.0} if kind is optim.RMSprop else {})
    w = variable(0.0, 0.0, 0.0)
    optimizer = kind([w], lr=0.1, **options)
    w.grad = pb.tensor([5.0, -0.001, 300.0], dtype="float64")
    optimizer.step()
    np.testing.assert_allclose(w.numpy(), [-0.1, 0.1, -0.1], rtol=1e-12)


def test_momentum_that_is_switched_on_later_has_a_buffer():
    w = variable(1.0)
    optimizer = optim.SGD([w], lr=0.1)
    steps = []
    for momentum in (0.0, 0.5, 0.5):
        optimizer.param_groups[0]["momentum"] = momentum
        w.grad, before = pb.ones(1, dtype="float64"), w.item()
        optimizer.step()
        steps.append(before - w.item())
    np.testing.assert_allclose(steps, [0.1, 0.1, 0.15])


def test_complex_parameters_descend_by_sgd_and_are_refused_where_a_step_is_not_linear() -> None:
    z = pb.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    optimizer = optim.SGD([z], lr=0.25, momentum=0.5)
    for _ in range(40):
        optimizer.zero_grad()
        (z.real**2 + (z.imag - 1) ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(z.numpy(), [1j, 1j], atol=1e-4)
    for kind in (optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad):
        with pytest.raises(TypeError, match="real and imaginary parts as two, or use SGD"):
            kind([z])


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad"])
def test_pytorchs_choice_among_its_implementations_is_taken(name):
    optimizer = getattr(optim, name)([variable(1.0)], foreach=True, fused=True)
    assert not {"foreach", "fused"} & set(optimizer.param_groups[0])


def test_muon_makes_every_direction_of_its_step_alike(place):
    w = pb.zeros((6, 4), dtype="float64").requires_grad_()
    optimizer = optim.Muon([w], lr=1.0, ns_steps=8)
    w.grad = pb.tensor(np.random.default_rng(0).normal(size=(6, 4)) * np.asarray([100, 1, 0.1, 10]))
    optimizer.step()
    sizes = np.linalg.svd(w.numpy(), compute_uv=False)
    assert (sizes > 0.6).all()
    assert (sizes < 1.6).all()


def test_muon_takes_matrices_only():
    with pytest.raises(ValueError, match=r"Muon takes matrices; got a parameter of shape \(2,\). Give those"):
        optim.Muon([pb.zeros((2, 2)).requires_grad_(), variable(1.0, 2.0)])
    optimizer = optim.Muon([pb.zeros((2, 2)).requires_grad_()])
    with pytest.raises(ValueError, match="Muon takes matrices"):
        optimizer.add_param_group({"params": [variable(1.0)]})
    assert len(optimizer.param_groups) == 1
    with pytest.raises(ValueError, match="ns_steps to be a whole number from 0 to 99"):
        optim.Muon([pb.zeros((2, 2)).requires_grad_()], ns_steps=100)
    with pytest.raises(ValueError, match="adjust_lr_fn to be one of"):
        optim.Muon([pb.zeros((2, 2)).requires_grad_()], adjust_lr_fn="none")


def test_lamb_leaves_a_parameter_of_zeros_to_adams_step():
    w = variable(0.0, 0.0, 0.0)
    optimizer = optim.LAMB([w], lr=0.1, weight_decay=0.0, eps=0.0)
    w.grad = pb.tensor([2.0, -1.0, 5.0], dtype="float64")
    optimizer.step()
    np.testing.assert_allclose(w.numpy(), [-0.1, 0.1, -0.1], rtol=1e-12)


def test_adafactor_keeps_a_row_and_a_column_of_a_matrix():
    w = pb.zeros((2, 3, 4)).requires_grad_()
    optimizer = optim.Adafactor([w, variable(1.0)])
    w.grad = pb.ones((2, 3, 4))
    optimizer.step()
    shapes = {key: value.shape for key, value in optimizer.state_dict()["state"][0].items() if key != "step"}
    assert shapes == {"row_var": (2, 3, 1), "col_var": (2, 1, 4)}
