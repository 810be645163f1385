"""functional_call: a model as a function of its parameters."""

import sys
from collections.abc import Iterator
from threading import Thread

import numpy as np
import pytest

import pullback as pb
from pullback import nn


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 4, dtype="float64"), nn.Tanh(), nn.Linear(4, 1, dtype="float64"))


@pytest.fixture
def x():
    return pb.random.normal((6, 3), dtype="float64")


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def values_of(model):
    return {name: (p.array, p.node) for name, p in model.named_parameters()}


@pytest.mark.on_numpy
def test_it_computes_with_the_given_parameters_and_leaves_the_model_alone(model, x):
    before = values_of(model)
    other = nn.Sequential(nn.Linear(3, 4, dtype="float64"), nn.Tanh(), nn.Linear(4, 1, dtype="float64"))
    given = {name: value.numpy() for name, value in other.state_dict().items()}
    assert nn.functional_call(model, given, x).tolist() == other(x).tolist()
    assert all(values_of(model)[name][i] is before[name][i] for name in before for i in (0, 1))


def test_its_gradient_is_that_of_backward(model, x):
    gradients = pb.grad(lambda p: nn.functional_call(model, p, x).sum())(model.state_dict())
    model(x).sum().backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(gradients[name].numpy(), p.grad.numpy(), rtol=1e-12)


def test_parameters_that_are_not_given_stay_the_models_own(model, x):
    bias = pb.full((1,), 3.0, dtype="float64")
    with pb.no_grad():
        moved = nn.functional_call(model, {"2.bias": bias}, x)
        np.testing.assert_allclose((moved - model(x)).numpy(), 3 - model[2].bias.item(), rtol=1e-12)


@pytest.mark.on_numpy
def test_hessian_products_agree_with_differences_of_gradients(model, x):
    parameters = {name: value.numpy() for name, value in model.state_dict().items()}
    rng = np.random.default_rng(0)
    direction = {name: rng.normal(size=value.shape) for name, value in parameters.items()}
    loss = lambda p: (nn.functional_call(model, p, x) ** 2).mean()
    _, (product,) = pb.hvp(loss, [parameters], [direction])
    h = 1e-5
    up, down = (
        pb.grad(loss)({name: parameters[name] + sign * h * direction[name] for name in parameters}) for sign in (1, -1)
    )
    for name in parameters:
        np.testing.assert_allclose(product[name], (up[name] - down[name]) / (2 * h), rtol=1e-6, atol=1e-8)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 2, bias=False)
        self.second = nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("shift", pb.zeros(2))

    def forward(self, x):
        return self.second(self.first(x)) + self.shift


@pytest.mark.on_numpy
def test_buffers_and_tied_parameters_are_replaced_too():
    given = {"first.weight": 2 * np.eye(2, dtype="float32"), "shift": pb.ones(2)}
    assert nn.functional_call(Tied(), given, pb.ones((1, 2))).tolist() == [[5, 5]]


def test_a_tied_parameter_is_given_by_any_of_its_names_but_one_value():
    model, x = Tied(), pb.ones((1, 2))
    state = model.state_dict()
    assert nn.functional_call(model, state, x).tolist() == model(x).tolist()
    zeros = nn.functional_call(model, {"second.weight": pb.zeros((2, 2))}, x)
    assert zeros.tolist() == [[0, 0]]
    with pytest.raises(ValueError, match=r"second.weight: the same as first.weight in the model, .*; give it once"):
        nn.functional_call(model, {**state, "second.weight": pb.zeros((2, 2))}, x)


def test_the_model_is_put_back_after_an_error(model, x):
    before = values_of(model)
    with pytest.raises(ValueError, match="takes"):
        nn.functional_call(model, {"0.weight": pb.zeros((4, 3), dtype="float64")}, pb.ones((2, 5), dtype="float64"))
    assert all(values_of(model)[name][i] is before[name][i] for name in before for i in (0, 1))


def test_every_name_and_shape_that_does_not_fit_is_named(model, x):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message is compared)
        nn.functional_call(model, {"0.bias": np.ones(3), "3.bias": np.ones(1)}, x)
    assert str(error.value) == (
        "the parameters do not fit Sequential: 3.bias: unknown; 0.bias: shape (3,) given, (4,) expected"
    )


def test_calls_within_calls_come_apart_again(model, x):
    inner = {name: value * 2 for name, value in model.state_dict().items()}

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x) + nn.functional_call(self.model, inner, x)

    outer = {f"model.{name}": value * 3 for name, value in model.state_dict().items()}
    expected = nn.functional_call(model, {n[6:]: v for n, v in outer.items()}, x) + nn.functional_call(model, inner, x)
    assert nn.functional_call(Twice(), outer, x).tolist() == expected.tolist()


@pytest.mark.on_numpy
def test_threads_do_not_see_each_others_parameters(model, x, switching):
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    results = {}

    def work(factor):
        given = {name: value * factor for name, value in state.items()}
        results[factor] = [nn.functional_call(model, given, x).tolist() for _ in range(30)]

    threads = [Thread(target=work, args=(factor,)) for factor in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for factor in range(1, 5):
        expected = nn.functional_call(model, {name: value * factor for name, value in state.items()}, x).tolist()
        assert results[factor] == [expected] * 30
