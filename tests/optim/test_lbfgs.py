"""L-BFGS: what it finds, what it saves, and what it refuses."""

import numpy as np
import pytest

import pullback as pb
from pullback import optim


def rosenbrock(optimizer, x, y):
    def closure():
        optimizer.zero_grad()
        loss = (1 - x) ** 2 + 100 * (y - x * x) ** 2
        loss.backward()
        return loss

    return closure


def started(**options):
    x, y = (pb.tensor(value, dtype="float64", requires_grad=True) for value in (-1.2, 1.0))
    return x, y, optim.LBFGS([x, y], line_search_fn="strong_wolfe", **options)


def test_the_valley_is_followed_to_its_end(place):
    x, y, optimizer = started(tolerance_change=1e-14)
    for _ in range(4):
        optimizer.step(rosenbrock(optimizer, x, y))
    np.testing.assert_allclose([x.item(), y.item()], [1, 1], atol=1e-8)


def test_a_quadratic_bowl_takes_few_more_iterations_than_it_has_axes():
    matrix = np.diag([1.0, 3.0, 9.0, 27.0])
    w = pb.tensor(np.ones(4), requires_grad=True)
    optimizer = optim.LBFGS([w], line_search_fn="strong_wolfe", max_iter=25, tolerance_change=1e-16)

    def closure():
        optimizer.zero_grad()
        loss = (w @ pb.tensor(matrix) @ w) / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    assert optimizer.state_dict()["state"][0]["n_iter"] <= 20
    np.testing.assert_allclose(w.numpy(), np.zeros(4), atol=1e-8)


def test_a_run_goes_on_exactly_from_saved_state(place):
    x, y, optimizer = started(max_iter=4)
    optimizer.step(rosenbrock(optimizer, x, y))
    a, b = (pb.tensor(value.numpy(), requires_grad=True) for value in (x, y))
    again = optim.LBFGS([a, b])
    again.load_state_dict(optimizer.state_dict())
    for _ in range(2):
        optimizer.step(rosenbrock(optimizer, x, y))
        again.step(rosenbrock(again, a, b))
    assert (a.item(), b.item()) == (x.item(), y.item())
    assert again.state_dict()["state"][0]["n_iter"] == optimizer.state_dict()["state"][0]["n_iter"] > 8


def test_no_more_than_the_history_is_kept():
    x, y, optimizer = started(history_size=3)
    optimizer.step(rosenbrock(optimizer, x, y))
    state = optimizer.state_dict()["state"][0]
    assert state["old_dirs"].shape == state["old_stps"].shape == (3, 2)
    assert state["ro"].shape == (3,)


@pytest.mark.parametrize("max_iter", [0, -1, 2.5, None, float("inf")])
@pytest.mark.parametrize("options", [{}, {"max_eval": 3}], ids=str)
def test_the_number_of_iterations_is_whole_and_at_least_one(max_iter, options):
    with pytest.raises(ValueError, match="LBFGS expects max_iter to be a whole number of at least 1; got "):
        optim.LBFGS([pb.tensor([1.0], requires_grad=True)], max_iter=max_iter, **options)


@pytest.mark.parametrize(
    ("result", "given"),
    [(lambda x: None, "None"), (lambda x: pb.ones((2,)), r"a Tensor of shape \(2,\)"), (lambda x: "small", "'small'")],
)
def test_the_closure_returns_the_loss(result, given):
    x, _, optimizer = started()
    with pytest.raises(TypeError, match=f"LBFGS expects the closure to return the loss, one number; got {given}"):
        optimizer.step(lambda: result(x))


@pytest.mark.parametrize("calls", range(1, 8))
def test_a_closure_that_fails_leaves_the_parameters_where_an_iteration_ended(calls):
    ended = {(-1.2, 1.0)}
    x, y, optimizer = started()
    for iterations in range(1, 8):
        a, b, other = started(max_iter=iterations, max_eval=25)
        other.step(rosenbrock(other, a, b))
        ended.add((a.item(), b.item()))
    evaluate, count = rosenbrock(optimizer, x, y), iter(range(calls))

    def closure():
        next(count)
        return evaluate()

    with pytest.raises(StopIteration):
        optimizer.step(closure)
    assert (x.item(), y.item()) in ended
    for _ in range(4):
        optimizer.step(evaluate)
    np.testing.assert_allclose([x.item(), y.item()], [1, 1], atol=1e-4)


def test_what_cannot_be_done_is_refused():
    x, y, optimizer = started()
    with pytest.raises(TypeError, match=r"call step\(closure\)"):
        optimizer.step()
    with pytest.raises(ValueError, match="LBFGS has one group"):
        optim.LBFGS([{"params": [x]}, {"params": [y]}])
    with pytest.raises(ValueError, match="line_search_fn to be None or 'strong_wolfe'; got 'armijo'"):
        optim.LBFGS([x], line_search_fn="armijo")
    mixed = optim.LBFGS([x, pb.tensor(1.0, requires_grad=True)])
    with pytest.raises(ValueError, match=r"one dtype in one place; got .*float32.*float64"):
        mixed.step(lambda: x)
    optimizer.step(rosenbrock(optimizer, x, y))
    state = optimizer.state_dict()
    other = optim.LBFGS([x])
    with pytest.raises(ValueError, match=r"state 0, d: shape \(2,\) given, 1 elements expected"):
        other.load_state_dict({**state, "param_groups": other.state_dict()["param_groups"]})
    with pytest.raises(ValueError, match="state 0, al: unknown"):
        optimizer.load_state_dict({**state, "state": {0: {**state["state"][0], "al": []}}})
    with pytest.raises(ValueError, match="param_groups: missing"):
        optimizer.load_state_dict({"state": {}})
