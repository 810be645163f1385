"""Optimizers: groups, state, flat buffers, and what they refuse."""

import copy
import json
import pickle
from math import inf, nan

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim

OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"lr": 0.1, "amsgrad": True},
    "AdamW": {"lr": 0.1},
    "RMSprop": {"lr": 0.05, "momentum": 0.5, "centered": True},
    "Adagrad": {"lr": 0.5, "initial_accumulator_value": 0.1},
    "Adamax": {"lr": 0.1, "weight_decay": 0.01},
    "NAdam": {"lr": 0.1, "weight_decay": 0.01, "decoupled_weight_decay": True},
    "RAdam": {"lr": 0.1},
    "Adadelta": {"lr": 1.0, "eps": 1e-2},
    "Rprop": {"lr": 0.05},
    "ASGD": {"lr": 0.2, "t0": 3.0, "lambd": 1e-3},
    "Lion": {"lr": 0.02, "weight_decay": 0.01},
    "LAMB": {"lr": 0.1, "weight_decay": 0.01},
    "Adafactor": {"lr": 0.1},
}
each = pytest.mark.parametrize("name", OPTIMIZERS)


def variable(*values, dtype="float64"):
    return pb.tensor(list(values), dtype=dtype, requires_grad=True)


def network(dtype="float64"):
    pb.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4, dtype=dtype), nn.Tanh(), nn.Linear(4, 1, dtype=dtype))


def make(name, parameters, **options):
    return getattr(optim, name)(parameters, **{**OPTIMIZERS[name], **options})


def train(model, optimizer, steps):
    dtype = next(model.parameters()).dtype
    x = np.random.default_rng(0).normal(size=(8, 3))
    inputs, target = pb.tensor(x, dtype=dtype), pb.tensor(np.sin(x.sum(axis=1, keepdims=True)), dtype=dtype)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(inputs), target)
        loss.backward()
        optimizer.step()
    return loss.item()


def weights(model):
    return np.concatenate([p.numpy().reshape(-1) for p in model.parameters()])


@each
def test_a_network_learns_the_same_on_every_backend(place, name):
    model = network()
    optimizer = make(name, model.parameters())
    before = train(model, optimizer, 1)
    assert train(model, optimizer, 29) < before / 2
    with pb.use("numpy"):
        twin = network()
        train(twin, make(name, twin.parameters()), 30)
    np.testing.assert_allclose(weights(model), weights(twin), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [*OPTIMIZERS, "Muon"])
def test_an_update_inside_autocast_is_that_outside_of_it(name):
    def updated(context):
        w = pb.random.normal((3, 4), generator=pb.random.Generator(1)).requires_grad_()
        optimizer = make(name, [w]) if name in OPTIMIZERS else optim.Muon([w], lr=0.1)
        w.grad = pb.random.normal((3, 4), generator=pb.random.Generator(2))
        with context:
            optimizer.step()
        return w.numpy()

    np.testing.assert_array_equal(updated(pb.autocast("float16")), updated(pb.autocast("float16", enabled=False)))


@each
def test_one_group_in_a_flat_buffer_and_many_groups_give_the_same(name):
    whole, apart = network(), network()
    train(whole, make(name, whole.parameters()), 20)
    train(apart, make(name, [{"params": [p]} for p in apart.parameters()]), 20)
    np.testing.assert_allclose(weights(whole), weights(apart), rtol=1e-12)


@each
def test_a_group_of_two_dtypes_is_updated_one_by_one(name):
    wide, narrow, both = variable(1.0, -2.0), variable(3.0, dtype="float32"), [variable(1.0, -2.0)]
    both.append(variable(3.0, dtype="float32"))
    optimizers = make(name, [wide]), make(name, [narrow]), make(name, both)
    for _ in range(5):
        for parameters, optimizer in zip(
            ([wide], [narrow], both), (optimizers[0], optimizers[1], optimizers[2]), strict=True
        ):
            optimizer.zero_grad()
            for p in parameters:
                (p * p).sum().backward()
            optimizer.step()
    assert [p.dtype for p in both] == [pb.float64, pb.float32]
    np.testing.assert_allclose(both[0].numpy(), wide.numpy(), rtol=1e-14)
    np.testing.assert_allclose(both[1].numpy(), narrow.numpy(), rtol=1e-6)


@each
def test_parameters_of_no_axes_are_updated_and_saved(name):
    w = pb.tensor(2.0, requires_grad=True)
    optimizer = make(name, [w])
    for _ in range(2):
        optimizer.zero_grad()
        (w * w).backward()
        optimizer.step()
    assert w.shape == ()
    assert w.item() < 2
    again = make(name, [pb.tensor(w.item(), requires_grad=True)])
    again.load_state_dict(optimizer.state_dict())
    assert again.state_dict()["state"][0]["step"] == 2


def test_groups_take_the_defaults_and_keep_what_is_their_own():
    a, b, c = variable(1.0), variable(1.0), variable(1.0)
    optimizer = optim.SGD([{"params": a, "lr": 0.5}, {"params": [b]}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 0.2})
    for p in (a, b, c):
        p.grad = pb.ones(1, dtype="float64")
    optimizer.step()
    np.testing.assert_allclose([a.item(), b.item(), c.item()], [0.5, 0.9, 0.8])
    assert [group["momentum"] for group in optimizer.param_groups] == [0.0] * 3


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("SGD", {"lr": -0.1}, "SGD expects lr to be a finite number of at least 0; got -0.1"),
        ("SGD", {"lr": nan}, "SGD expects lr .* got nan"),
        ("SGD", {"lr": inf}, "SGD expects lr .* got inf"),
        ("SGD", {"lr": "fast"}, "SGD expects lr .* got 'fast'"),
        ("SGD", {"momentum": -1.0}, "SGD expects momentum"),
        ("SGD", {"weight_decay": -1.0}, "SGD expects weight_decay"),
        ("SGD", {"dampening": nan}, "SGD expects dampening to be a finite number"),
        ("SGD", {"nesterov": True}, "SGD with nesterov=True expects a momentum above 0 and no dampening"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "no dampening; .* dampening=0.1"),
        ("Adam", {"betas": (0.9, 1.0)}, r"Adam expects betas to be two numbers in \[0, 1\); got \(0.9, 1.0\)"),
        ("AdamW", {"betas": (0.9,)}, "AdamW expects betas"),
        ("Adam", {"betas": 0.9}, "Adam expects betas"),
        ("Adam", {"eps": -1e-8}, "Adam expects eps"),
        ("RMSprop", {"alpha": 1.5}, "RMSprop expects alpha to be a number from 0 to 1; got 1.5"),
        ("Adagrad", {"lr_decay": -1.0}, "Adagrad expects lr_decay"),
        ("Adagrad", {"initial_accumulator_value": -1.0}, "Adagrad expects initial_accumulator_value"),
        ("Adadelta", {"rho": 1.5}, "Adadelta expects rho to be a number from 0 to 1"),
        ("NAdam", {"momentum_decay": -1.0}, "NAdam expects momentum_decay"),
        ("Rprop", {"etas": (0.5, 0.9)}, "Rprop expects etas to be two numbers, below 1 and above 1"),
        ("Rprop", {"etas": (0.5,)}, r"Rprop expects etas to be two numbers.* got \(0.5,\)"),
        ("Rprop", {"etas": (0.5, 1.2, 2.0)}, "Rprop expects etas to be two numbers"),
        ("Rprop", {"step_sizes": (2.0, 1.0)}, "Rprop expects step_sizes to be two numbers, the smallest"),
        ("Rprop", {"step_sizes": (1.0,)}, "Rprop expects step_sizes to be two numbers, the smallest"),
        ("ASGD", {"lambd": -1.0}, "ASGD expects lambd"),
        ("ASGD", {"alpha": inf}, "ASGD expects alpha to be a finite number"),
        ("Adafactor", {"eps": 1e-3}, "Adafactor expects eps to be two numbers of at least 0, of which the first may"),
        ("Adafactor", {"d": 0.5}, "Adafactor expects d to be a number of at least 1"),
        ("Adafactor", {"beta2_decay": 0.8}, "Adafactor expects beta2_decay to be a number of at most 0"),
    ],
)
def test_hyperparameters_that_make_no_sense_are_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(optim, kind)([variable(1.0)], **options)
    good = getattr(optim, kind)([variable(1.0)])
    with pytest.raises(ValueError, match=message):
        good.add_param_group({"params": [variable(1.0)], **options})


@pytest.mark.parametrize("lr", [np.float32(0.5), np.asarray(0.5), pb.tensor(0.5)], ids=["scalar", "array", "Tensor"])
def test_a_hyperparameter_that_is_an_array_becomes_the_number_that_it_is(lr):
    w = variable(3.0)
    optimizer = optim.SGD([w], lr=lr)
    w.grad = pb.ones(1, dtype="float64")
    optimizer.step()
    assert w.tolist() == [2.5]
    assert json.loads(json.dumps(optimizer.state_dict()["param_groups"]))[0]["lr"] == 0.5


@each
def test_parameters_without_a_gradient_are_left_alone_and_do_not_age(name):
    a, b = variable(1.0, 2.0), variable(3.0)
    optimizer = make(name, [a, b])
    a.grad = pb.ones(2, dtype="float64")
    optimizer.step()
    assert b.tolist() == [3.0]
    assert list(optimizer.state_dict()["state"]) == [0]
    b.grad = pb.ones(1, dtype="float64")
    optimizer.step()
    assert [entry["step"] for entry in optimizer.state_dict()["state"].values()] == [2, 1]


@each
def test_frozen_parameters_may_be_given_and_thawed_later(name):
    model = network()
    model[0].requires_grad_(False)
    before = weights(model[0])
    optimizer = make(name, model.parameters())
    train(model, optimizer, 5)
    np.testing.assert_array_equal(weights(model[0]), before)
    model[0].requires_grad_(True)
    train(model, optimizer, 5)
    assert (weights(model[0]) != before).all()


@each
@pytest.mark.parametrize("through_json", [False, True])
def test_training_goes_on_exactly_from_saved_state(place, name, through_json):
    model, twin = network(), network()
    optimizer = make(name, model.parameters())
    train(model, optimizer, 7)
    state = optimizer.state_dict()
    if through_json:  # arrays are files of their own; names become strings, and tuples lists
        entries = {str(n): entry for n, entry in state["state"].items()}
        state = {"state": entries, "param_groups": json.loads(json.dumps(state["param_groups"]))}
    twin.load_state_dict(model.state_dict())
    again = getattr(optim, name)(twin.parameters(), lr=77.0)
    again.load_state_dict(state)
    train(model, optimizer, 7)
    train(twin, again, 7)
    np.testing.assert_array_equal(weights(twin), weights(model))


def test_saved_state_is_a_copy():
    model = network()
    optimizer = make("Adam", model.parameters())
    train(model, optimizer, 1)
    state = optimizer.state_dict()["state"][0]["exp_avg"]
    before = state.tolist()
    train(model, optimizer, 1)
    assert state.tolist() == before


def test_state_of_other_groups_is_refused():
    optimizer = make("Adam", [variable(1.0), variable(2.0)])
    other = make("Adam", [variable(1.0)])
    with pytest.raises(ValueError, match=r"the groups have \[1\] parameters here and \[2\] in the state"):
        other.load_state_dict(optimizer.state_dict())


def altered(state, **entry):
    return {**state, "state": {0: {**state["state"][0], **entry}}}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: {"state": {}}, "param_groups: missing"),
        (lambda state: optim.SGD([variable(1.0)]).state_dict(), "amsgrad: missing; .*; dampening: unknown"),
        (lambda state: {**state, "param_groups": [{**state["param_groups"][0], "lr": -1}]}, "Adam expects lr"),
        (lambda state: {**state, "state": {"1": state["state"][0]}}, "state 1: no such parameter"),
        (lambda state: altered(state, exp_avg=pb.ones(2)), r"state 0, exp_avg: shape \(2,\) given, shape \(1,\) exp"),
        (lambda state: altered(state, exp_avg=[1.0]), r"exp_avg: a list given"),
        (lambda state: altered(state, exp_avg=np.ones(1, "complex64")), "exp_avg: dtype complex64 given"),
        (lambda state: altered(state, sum=pb.ones(1)), "state 0, sum: unknown"),
        (lambda state: {**state, "state": {0: {"step": 3, "exp_avg": pb.ones(1)}}}, "state 0, exp_avg_sq: missing"),
    ],
)
def test_state_that_does_not_fit_is_refused_and_nothing_is_changed(spoil, message):
    w = variable(1.0)
    optimizer = optim.Adam([w], lr=0.1)
    w.grad = pb.ones(1, dtype="float64")
    optimizer.step()
    before = repr(optimizer.state_dict())
    with pytest.raises(ValueError, match="the state does not fit Adam: .*" + message):
        optimizer.load_state_dict(spoil(optim_state(lr=0.7)))
    assert repr(optimizer.state_dict()) == before


def optim_state(**options):
    """The state of an Adam of one parameter after a step."""
    w = variable(5.0)
    optimizer = optim.Adam([w], **options)
    w.grad = pb.full(1, 2.0, dtype="float64")
    optimizer.step()
    return optimizer.state_dict()


def test_state_of_a_scheduled_optimizer_fits_one_without_a_schedule():
    optimizer = optim.Adam([variable(1.0)], lr=0.5)
    optim.lr_scheduler.StepLR(optimizer, 1)
    again = optim.Adam([variable(1.0)])
    again.load_state_dict(optimizer.state_dict())
    assert again.param_groups[0]["initial_lr"] == 0.5
    again.load_state_dict(optim.Adam([variable(1.0)], lr=0.25).state_dict())
    assert again.param_groups[0]["lr"] == 0.25


@each
@pytest.mark.parametrize(
    "disturb",
    [
        lambda model: model.load_state_dict(model.state_dict()),
        lambda model: model.to(dtype="float32").to(dtype="float64"),
        lambda model: nn.functional_call(
            model, {"0.bias": pb.zeros(4, dtype="float64")}, pb.ones((1, 3), dtype="float64")
        ),
    ],
    ids=["load_state_dict", "to", "functional_call"],
)
def test_flat_buffers_keep_up_with_what_happens_to_the_model(name, disturb):
    model, twin = network(), network()
    optimizer, undisturbed = make(name, model.parameters()), make(name, twin.parameters())
    train(model, optimizer, 3)
    train(twin, undisturbed, 3)
    disturb(model)
    np.testing.assert_allclose(weights(model), weights(twin), rtol=1e-6, atol=1e-6)
    twin.load_state_dict(model.state_dict())  # float32 has rounded them
    train(model, optimizer, 5)
    train(twin, undisturbed, 5)
    np.testing.assert_allclose(weights(model), weights(twin), rtol=1e-12)


@each
def test_state_follows_the_parameters_to_another_dtype(name):
    model = network("float32")
    optimizer = make(name, model.parameters())
    train(model, optimizer, 3)
    model.to(dtype="float64")
    train(model, optimizer, 3)
    kept = optimizer.state_dict()["state"].values()
    assert {value.dtype for entry in kept for value in entry.values() if isinstance(value, pb.Tensor)} == {pb.float64}
    assert {p.dtype for p in model.parameters()} == {pb.float64}


def test_state_follows_the_parameters_to_another_backend():
    model, twin = network(), network()
    optimizer, undisturbed = make("Adam", model.parameters()), make("Adam", twin.parameters())
    train(model, optimizer, 3)
    train(twin, undisturbed, 6)
    model.to(backend="array_api_strict", device="device1")
    with pb.use("array_api_strict", "device1"):
        train(model, optimizer, 3)
    np.testing.assert_allclose(weights(model), weights(twin), rtol=1e-10)


@pytest.mark.on_numpy
def test_views_of_the_flat_buffer_share_the_optimizers_memory():
    model = network()
    train(model, make("SGD", model.parameters()), 1)
    bases = {id(p.array.base) for p in model.parameters()}
    assert len(bases) == 1


def test_zero_grad_forgets():
    model = network()
    optimizer = make("SGD", model.parameters())
    train(model, optimizer, 1)
    model[0].bias.requires_grad_(False)
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("of_the_model", [False, True])
def test_zero_grad_can_leave_zeros_where_there_was_a_gradient(place, of_the_model):
    model = nn.Linear(2, 2)
    kept = model.weight.grad = pb.ones((2, 2))
    (model if of_the_model else optim.SGD(model.parameters())).zero_grad(set_to_none=False)
    assert model.weight.grad.tolist() == [[0, 0], [0, 0]]
    assert model.bias.grad is None
    assert kept.tolist() == [[1, 1], [1, 1]]


def test_a_closure_is_recorded_and_its_loss_is_given_back():
    w = variable(3.0)
    optimizer = optim.SGD([w], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with pb.no_grad():
        assert optimizer.step(closure).item() == 9
    assert w.tolist() == [1.5]
    assert optimizer.step() is None


@each
@pytest.mark.on_numpy
def test_arrays_of_the_user_are_never_written_to(name):
    given = [np.full(2, 1.0), np.full(2, 2.0), np.full(2, 3.0, dtype="float32"), np.full((), 4.0)]
    for array in given:
        array.flags.writeable = False
    parameters = [nn.Parameter(array) for array in given]
    alone, mixed, scalar = (make(name, group) for group in (parameters[:2], parameters[1:3], parameters[3:]))
    for p in (parameters[0], parameters[2], parameters[3]):  # the second has none: no group goes by flat buffers
        p.grad = pb.ones(p.shape, dtype=p.dtype)
    for optimizer in (alone, mixed, scalar):
        optimizer.step()
    assert [array.reshape(-1)[0] for array in given] == [1, 2, 3, 4]
    assert all((p.numpy() < array).all() for p, array in zip(parameters, given, strict=True) if p.grad is not None)
    assert [p.array.dtype for p in parameters] == [array.dtype for array in given]


@each
def test_a_step_of_some_parameters_between_steps_of_all_stays_in_the_flat_buffer(name):
    whole, apart = network(), network()
    optimizers = make(name, whole.parameters()), make(name, [{"params": [p]} for p in apart.parameters()])
    for model, optimizer in zip((whole, apart), optimizers, strict=True):
        train(model, optimizer, 2)
        model[0].bias.requires_grad_(False)
        train(model, optimizer, 2)
        model[0].bias.requires_grad_(True)
        train(model, optimizer, 2)
    np.testing.assert_allclose(weights(whole), weights(apart), rtol=1e-12)


@each
def test_a_deep_copy_of_a_model_and_its_optimizer_trains_on_its_own(place, name):
    model = network()
    optimizer = make(name, model.parameters())
    train(model, optimizer, 3)
    before = weights(model)
    twin, again = copy.deepcopy((model, optimizer))
    train(twin, again, 3)
    np.testing.assert_array_equal(weights(model), before)
    train(model, optimizer, 3)
    assert (weights(model) != before).all()
    np.testing.assert_allclose(weights(twin), weights(model), rtol=1e-12)


@each
@pytest.mark.on_numpy
def test_a_pickled_model_and_its_optimizer_go_on_exactly(name):
    model = network()
    optimizer = make(name, model.parameters())
    train(model, optimizer, 3)
    twin, again = pickle.loads(pickle.dumps((model, optimizer)))
    train(model, optimizer, 3)
    train(twin, again, 3)
    np.testing.assert_array_equal(weights(twin), weights(model))


def test_repr_shows_each_group():
    optimizer = optim.Adagrad([{"params": [variable(1.0, 2.0)], "lr": 0.5}, {"params": [variable(1.0)]}])
    same = "lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, maximize=False"
    assert repr(optimizer) == f"Adagrad(lr=0.5, {same}, 2 parameters; lr=0.01, {same}, 1 parameters)"


@each
def test_the_batch_in_parts_is_the_batch(place, name):
    whole, parts = network(), network()
    optimizers = make(name, whole.parameters()), make(name, parts.parameters())
    x = np.random.default_rng(0).normal(size=(8, 3))
    y = np.sin(x.sum(axis=1, keepdims=True))
    for _ in range(5):
        optimizers[0].zero_grad()
        nn.MSELoss()(whole(pb.tensor(x)), pb.tensor(y)).backward()
        optimizers[1].zero_grad()
        for rows in np.split(np.arange(8), 4):
            (nn.MSELoss()(parts(pb.tensor(x[rows])), pb.tensor(y[rows])) / 4).backward()
        for optimizer in optimizers:
            optimizer.step()
    np.testing.assert_allclose(weights(parts), weights(whole), rtol=1e-6, atol=1e-9)


@each
def test_to_maximize_is_to_minimize_the_opposite(place, name):
    up, down = [[variable(1.0, -2.0), pb.tensor(3.0, dtype="float64", requires_grad=True)] for _ in range(2)]
    optimizers = make(name, up, maximize=True), make(name, down)
    for step in range(4):
        for p, q in zip(up, down, strict=True):
            g = pb.ones(p.shape, dtype="float64") * (0.5 + step)
            p.grad, q.grad = -g, g
        if step == 2:
            up[0].grad = down[0].grad = None
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(up, down, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


@pytest.mark.parametrize(("name", "scalars"), [("NAdam", {"mu_product"}), ("ASGD", {"eta", "mu"})])
def test_scalars_are_saved_as_numbers_and_others_are_refused(name, scalars):
    w = variable(1.0)
    optimizer = make(name, [w])
    w.grad = pb.ones(1, dtype="float64")
    optimizer.step()
    state = optimizer.state_dict()
    assert {type(state["state"][0][key]) for key in scalars} == {float}
    key = min(scalars)
    with pytest.raises(ValueError, match=f"state 0, {key}: a list, not a number"):
        optimizer.load_state_dict(altered(state, **{key: [1.0]}))
    from_a_file = altered(state, **{key: np.asarray(state["state"][0][key])})
    optimizer.load_state_dict(from_a_file)
    assert optimizer.state_dict()["state"][0][key] == state["state"][0][key]
