"""Module: what it finds, what it saves and loads, and what it complains about."""

import copy
import pickle

import numpy as np
import pytest

import pullback as pb
from pullback import nn


class Block(nn.Module):
    """A parameter, a buffer and a child; the child's weight is tied to the parameter."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(pb.ones((3, 3)))
        self.register_buffer("mean", pb.zeros(3))
        self.register_parameter("shift", None)
        self.inner = nn.Linear(3, 3)
        self.inner.weight = self.scale

    def forward(self, x):
        return self.inner(x) - self.mean


def mlp():
    return nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Sequential(nn.ReLU(), nn.Linear(5, 2, bias=False)))


def test_parameters_buffers_and_modules_are_found_once_by_dotted_name():
    model = Block()
    assert [name for name, _ in model.named_parameters()] == ["scale", "inner.bias"]
    assert [name for name, _ in model.named_buffers()] == ["mean"]
    assert [name for name, _ in model.named_modules()] == ["", "inner"]
    assert [name for name, _ in mlp().named_parameters()] == ["0.weight", "0.bias", "2.1.weight"]
    assert model.parameter_count() == 12
    assert list(model.children()) == [model.inner]


def test_only_a_modules_own_and_names_behind_a_prefix_are_asked_for():
    model = nn.Sequential(Block())
    assert [name for name, _ in model.named_parameters("net")] == ["net.0.scale", "net.0.inner.bias"]
    assert [name for name, _ in model[0].named_parameters("net", recurse=False)] == ["net.scale"]
    assert [name for name, _ in model.named_buffers("net")] == ["net.0.mean"]
    assert list(model.parameters(recurse=False)) == list(model.buffers(recurse=False)) == []


def test_what_has_a_dotted_name_is_got_and_set_by_it():
    model = nn.Sequential(Block())
    assert model.get_submodule("") is model
    for name, module in model.named_modules():
        assert model.get_submodule(name) is module
    for name, parameter in model.named_parameters():
        assert model.get_parameter(name) is parameter
    assert model.get_buffer("0.mean") is model[0].mean
    model.set_submodule("0.inner", nn.Tanh())
    model.register_module("last", nn.ReLU())
    assert [type(m).__name__ for m in model.modules()] == ["Sequential", "Block", "Tanh", "ReLU"]


@pytest.mark.parametrize(
    ("get", "message"),
    [
        (lambda m: m.get_submodule("0.outer.x"), "no '0.outer' among the modules of this Sequential"),
        (lambda m: m.get_parameter("0.mean"), "no '0.mean' among the parameters of this Sequential"),
        (lambda m: m.get_parameter("0.shift"), "no '0.shift' among the parameters"),
        (lambda m: m.get_buffer(""), "no '' among the buffers"),
    ],
)
def test_a_dotted_name_that_leads_nowhere_is_told(get, message):
    with pytest.raises(AttributeError, match=message):
        get(nn.Sequential(Block()))


def test_tied_parameters_get_the_sum_of_their_gradients():
    model = Block()
    (model(pb.ones((1, 3))) @ model.scale).sum().backward()
    both = model.scale.grad.numpy()
    model.zero_grad()
    (model(pb.ones((1, 3))) @ model.scale.detach()).sum().backward()
    one = model.scale.grad.numpy()
    model.zero_grad()
    (model(pb.ones((1, 3))).detach() @ model.scale).sum().backward()
    np.testing.assert_allclose(both, one + model.scale.grad.numpy(), rtol=1e-6)


def test_a_name_holds_what_was_assigned_to_it_last():
    model = Block()
    model.inner = nn.Tanh()
    assert [name for name, _ in model.named_parameters()] == ["scale"]
    model.scale = None
    assert model.scale is None
    assert list(model.parameters()) == []
    model.scale = nn.Parameter(pb.ones(2))
    assert model.parameter_count() == 2
    model.mean = pb.ones(3)
    assert model.state_dict()["mean"].tolist() == [1, 1, 1]
    model.note = "plain"
    model.note = nn.Linear(1, 1)
    assert [name for name, _ in model.named_children()] == ["inner", "note"]


def test_what_is_deleted_is_gone():
    model = Block()
    model.note = "plain"
    for name in ("scale", "mean", "inner", "note"):
        delattr(model, name)
        assert not hasattr(model, name)
    assert model.state_dict() == {}
    with pytest.raises(AttributeError, match="scale"):
        del model.scale


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", pb.ones(3), "'scale' is one of the parameters; it takes None or a Parameter, not Tensor"),
        ("inner", 3, "'inner' is one of the modules; it takes None or a Module, not int"),
        ("mean", [1, 2, 3], "'mean' is one of the buffers; it takes None or a Tensor, not list"),
    ],
)
def test_a_name_keeps_its_kind(name, value, message):
    with pytest.raises(TypeError, match=message):
        setattr(Block(), name, value)


def test_assigning_before_init_says_what_to_do():
    class Early(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(pb.ones(1))

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) in Early"):
        Early()


def test_a_module_without_forward_says_so():
    with pytest.raises(TypeError, match="Module has no forward"):
        nn.Module()(1)


@pytest.mark.parametrize("name", ["forward", "a.b", "", "state_dict"])
def test_names_that_would_hide_something_are_refused(name):
    with pytest.raises(ValueError, match="choose a name"):
        nn.Module().add_module(name, nn.Tanh())


def test_only_modules_and_tensors_are_registered():
    with pytest.raises(TypeError, match=r"is an nn.Module; got list"):
        nn.Sequential([nn.Tanh()])
    with pytest.raises(TypeError, match="the buffer 'weight' is a Tensor or None; got list"):
        nn.NLLLoss(weight=[1.0, 1.0])


def test_state_goes_from_one_module_to_another():
    first, second = mlp(), mlp()
    x = pb.random.normal((3, 4))
    result = second.load_state_dict(first.state_dict())
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    assert repr(result) == "<All keys matched successfully>"
    assert first.eval()(x).tolist() == second.eval()(x).tolist()
    assert first[0].weight.array is not second[0].weight.array
    assert all(p.requires_grad for p in second.parameters())


def test_loaded_values_keep_the_dtype_and_place_of_the_module(place):
    model = nn.Linear(2, 2, dtype="float64")
    model.load_state_dict({"weight": np.eye(2, dtype="float32"), "bias": pb.ones(2)})
    assert model.weight.dtype == pb.float64
    assert model.weight.tolist() == [[1, 0], [0, 1]]
    assert model.weight.device == pb.zeros(1).device
    assert model(pb.ones((1, 2), dtype="float64")).tolist() == [[2, 2]]


def test_all_complaints_come_at_once_and_nothing_is_changed():
    model = mlp()
    before = {name: value.tolist() for name, value in model.state_dict().items()}
    state = {"0.weight": pb.ones((4, 5)), "0.bias": [1, 2], "extra": pb.ones(1)}
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message is compared)
        model.load_state_dict(state)
    assert str(error.value) == (
        "the state does not fit Sequential: 2.1.weight: missing; extra: unknown; "
        "0.weight: shape (4, 5) given, shape (5, 4) expected; 0.bias: a list given, shape (5,) expected"
    )
    assert before == {name: value.tolist() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (np.ones(3, "complex64"), "bias: dtype complex64 given, float32 expected"),
        (np.asarray(["a", "b", "c"]), "bias: dtype str.* given, float32 expected"),
        (np.asarray([None] * 3), "bias: dtype object given, float32 expected"),
    ],
)
def test_values_of_another_kind_are_refused_before_anything_is_changed(bias, message):
    model = nn.Linear(2, 3)
    before = model.weight.tolist()
    with pytest.raises(ValueError, match=message):
        model.load_state_dict({"weight": np.zeros((3, 2)), "bias": bias})
    assert model.weight.tolist() == before
    model.load_state_dict({"weight": np.zeros((3, 2), "int8"), "bias": np.ones(3, "bool")})
    assert model.bias.tolist() == [1, 1, 1]


def test_what_is_shared_is_saved_and_loaded_under_each_of_its_names():
    model, twin = Block(), Block()
    assert list(model.state_dict()) == ["scale", "mean", "inner.weight", "inner.bias"]
    assert [name for name, _ in model.named_parameters()] == ["scale", "inner.bias"]
    nn.init.normal_(model.scale)
    twin.load_state_dict(model.state_dict())
    assert twin.scale is twin.inner.weight
    assert twin.scale.tolist() == model.scale.tolist()
    one_name = {name: value for name, value in Block().state_dict().items() if name != "scale"}
    twin.load_state_dict(one_name)
    assert twin.scale.tolist() == [[1] * 3] * 3
    layer = nn.Linear(2, 2)
    assert list(nn.Sequential(layer, layer).state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_a_module_within_itself_has_its_names_once():
    model = nn.Linear(1, 1)
    model.add_module("itself", model)
    assert list(model.state_dict()) == ["weight", "bias"]


@pytest.mark.parametrize("data", [[1.0, 2.0], 1.0, None])
def test_a_parameter_is_made_of_an_array(data):
    with pytest.raises(TypeError, match=f"got {type(data).__name__}. Make one with pb.tensor"):
        nn.Parameter(data)


@pytest.mark.on_numpy
def test_a_pickled_model_has_the_same_values_and_ties():
    model = Block()
    nn.init.normal_(model.scale)
    model.inner.bias.requires_grad_(False)
    x = pb.random.normal((2, 3))
    model(x).sum().backward()
    twin = pickle.loads(pickle.dumps(model.eval()))
    assert twin(x).tolist() == model(x).tolist()
    assert twin.scale is twin.inner.weight
    assert not twin.training
    assert [p.requires_grad for p in twin.parameters()] == [True, False]
    twin(x).sum().backward()
    assert twin.scale.grad.tolist() == model.scale.grad.tolist()


def test_not_strict_passes_over_names_but_not_over_shapes():
    model = mlp()
    passed_over = model.load_state_dict({"0.bias": pb.ones(5), "extra": pb.ones(1)}, strict=False)
    assert model[0].bias.tolist() == [1] * 5
    assert passed_over == (["0.weight", "2.1.weight"], ["extra"])
    assert repr(passed_over).startswith("IncompatibleKeys(missing_keys=['0.weight',")
    with pytest.raises(ValueError, match=r"0.bias: shape \(4,\) given"):
        model.load_state_dict({"0.bias": pb.ones(4)}, strict=False)


def test_train_and_eval_reach_every_module():
    model = mlp()
    assert all(module.training for module in model.modules())
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    assert all(module.training for module in model.train().modules())


def test_apply_calls_children_first():
    names = []
    model = mlp()
    assert model.apply(lambda module: names.append(type(module).__name__)) is model
    assert names == ["Linear", "Dropout", "ReLU", "Linear", "Sequential", "Sequential"]


def test_repr_shows_the_tree_with_counts():
    assert repr(mlp()) == (
        "Sequential(  # 35 parameters\n"
        "  (0): Linear(in_features=4, out_features=5, bias=True)  # 25 parameters\n"
        "  (1): Dropout(p=0.5)\n"
        "  (2): Sequential(  # 10 parameters\n"
        "    (0): ReLU()\n"
        "    (1): Linear(in_features=5, out_features=2, bias=False)  # 10 parameters\n"
        "  )\n"
        ")"
    )


def test_to_another_dtype_keeps_variables_and_frozen_ones():
    model = Block()
    model.inner.bias.requires_grad_(False)
    scale = model.scale
    assert model.to(dtype="float64") is model
    assert model.scale is scale is model.inner.weight
    assert [p.dtype for p in model.parameters()] == [pb.float64] * 2
    assert model.mean.dtype == pb.float64
    assert scale.requires_grad
    assert not model.inner.bias.requires_grad
    model(pb.ones((1, 3), dtype="float64")).sum().backward()
    assert scale.grad.dtype == pb.float64


@pytest.mark.parametrize(
    ("move", "dtype"),
    [
        (nn.Module.half, "float16"),
        (nn.Module.float, "float32"),
        (nn.Module.double, "float64"),
        (lambda model: model.to(pb.float64), "float64"),
    ],
)
def test_a_dtype_has_a_method_of_its_name(move, dtype):
    model = move(nn.BatchNorm1d(3).to(dtype="float64"))
    assert [str(value.dtype.name) for value in model.state_dict().values()] == [dtype] * 4 + ["int64"]


def test_a_module_is_moved_to_no_dtype_that_cannot_learn_and_stays_as_it_was():
    model = nn.Linear(2, 3)
    for dtype in ("int64", pb.bool):
        with pytest.raises(TypeError, match="a Linear is moved to a floating dtype; got"):
            model.to(dtype=dtype)
    with pb.use("array_api_strict"), pytest.raises(TypeError, match="bfloat16"):
        nn.Linear(2, 3).bfloat16()
    assert all(p.requires_grad and p.dtype == pb.float32 for p in model.parameters())


def test_a_module_comes_back_to_the_cpu():
    model = Block().to(backend="array_api_strict", device="device1").cpu()
    assert all(isinstance(value.array, np.ndarray) for value in model.state_dict().values())


def test_to_another_backend_moves_everything():
    model = Block().to(backend="array_api_strict", device="device1")
    assert {str(value.device) for value in model.state_dict().values()} == {"array_api_strict.Device('device1')"}
    with pb.use("array_api_strict", "device1"):
        model(pb.ones((2, 3))).sum().backward()
    assert model.scale.grad.shape == (3, 3)


def test_freezing_stops_gradients_and_thawing_brings_them_back():
    model = nn.Linear(2, 1)
    x = pb.ones((1, 2))
    assert not model.requires_grad_(False)(x).requires_grad
    model.requires_grad_()(x).sum().backward()
    assert model.weight.grad.tolist() == [[1, 1]]
    model.zero_grad()
    assert model.weight.grad is None


def test_a_deep_copy_is_a_model_of_its_own():
    model = mlp().eval()
    twin = copy.deepcopy(model)
    x = pb.random.normal((3, 4))
    expected = model(x).tolist()
    nn.init.zeros_(model[0].weight)
    assert twin(x).tolist() == expected
    assert dict(twin.named_parameters())["0.weight"] is twin[0].weight
    twin(x).sum().backward()
    assert twin[0].weight.grad is not None
    assert model[0].weight.grad is None
