"""Lists and dicts of modules and parameters."""

import copy

import pytest

import pullback as pb
from pullback import nn


@pytest.mark.parametrize("kind", [nn.ModuleList, lambda modules: nn.Sequential(*modules)])
def test_rows_change_as_lists_do(kind):
    modules = [nn.Linear(2, 2) for _ in range(4)]
    row, plain = kind(modules), list(modules)
    more = nn.Tanh(), nn.ReLU(), nn.ELU()
    for change in (
        lambda r: r.append(more[0]),
        lambda r: r.insert(1, more[1]),
        lambda r: r.insert(-1, more[2]),
        lambda r: r.__setitem__(-2, more[0]),
        lambda r: r.__delitem__(0),
        lambda r: r.pop(),
        lambda r: r.extend([more[1]]),
        lambda r: r.__delitem__(slice(1, 3)),
    ):
        change(row)
        change(plain)
        assert list(row) == plain
        assert [name for name, _ in row.named_children()] == [str(i) for i in range(len(plain))]
    assert list(row[1:]) == plain[1:]
    assert type(row[1:]) is type(row)
    with pytest.raises(IndexError, match="no module 9"):
        row[9]


def test_lists_are_added():
    a, b = nn.Tanh(), nn.ReLU()
    both = nn.ModuleList([a]) + nn.ModuleList([b])
    assert list(both) == [a, b]
    both += [a]
    assert list(both) == [a, b, a]
    assert isinstance(both, nn.ModuleList)


def test_modules_by_name():
    modules = nn.ModuleDict({"a": nn.Linear(1, 2)})
    modules["b"] = nn.Linear(2, 3)
    modules.update([("c", nn.Tanh())])
    assert list(modules) == list(modules.keys()) == ["a", "b", "c"]
    assert "b" in modules
    assert list(modules.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    taken = modules.pop("a")
    assert isinstance(taken, nn.Linear)
    with pytest.raises(KeyError, match="no module 'a'; there are b, c"):
        modules["a"]
    modules.clear()
    assert len(modules) == 0
    assert not hasattr(modules, "b")


@pytest.mark.parametrize("copied", [False, True])
def test_parameters_in_lists_and_dicts_are_learnt(copied):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.row = nn.ParameterList([pb.ones(2), nn.Parameter(pb.zeros(3))])
            self.named = nn.ParameterDict({"scale": pb.ones(())})

        def forward(self):
            return self.row[0].sum() * self.named["scale"] + self.row[1].sum()

    model = copy.deepcopy(Model()) if copied else Model()
    assert list(model.state_dict()) == ["row.0", "row.1", "named.scale"]
    model().backward()
    assert [p.grad.tolist() for p in model.parameters()] == [[1, 1], [1, 1, 1], 2]
    model.row[1] = pb.full((1,), 5.0)
    del model.named["scale"]
    assert [p.tolist() for p in model.parameters()] == [[1, 1], [5]]
    with pytest.raises(KeyError, match="no parameter 'scale'"):
        model.named["scale"]
    with pytest.raises(IndexError, match="no parameter 2 in a ParameterList of 2"):
        model.row[2]


def test_a_parameter_list_grows_and_is_sliced():
    row = nn.ParameterList([pb.ones(1)])
    row += [pb.ones(2), pb.ones(3)]
    assert [p.shape for p in row[1:]] == [(2,), (3,)]
    assert row[-1] is row[2]
    row[-1] = pb.zeros(4)
    assert [name for name, _ in row.named_parameters()] == ["0", "1", "2"]
    assert row[2].shape == (4,)


def test_a_parameter_dict_changes_as_a_dict_does():
    named, plain = nn.ParameterDict({"a": pb.ones(1)}), {"a": 1}
    value = nn.Parameter(pb.ones(2))
    for change in (
        lambda d: d.setdefault("b", value),
        lambda d: d.setdefault("a", value),
        lambda d: d.update({"c": value}),
        lambda d: d.pop("a"),
        lambda d: d.update([("a", value)]),
        lambda d: d.popitem(),
    ):
        change(named)
        change(plain)
        assert list(named.keys()) == list(plain)
    assert [name for name, _ in named.named_parameters()] == ["b"]  # each parameter once
    assert named.get("b") is named["b"] is value
    assert named.get("nothing") is None
    twin = named.copy()
    both = twin | {"d": pb.ones(1)}
    twin |= {"e": pb.ones(1)}
    assert (list(named), list(both), list(twin)) == (["b", "c"], ["b", "c", "d"], ["b", "c", "e"])
    assert list(named.fromkeys(["x", "y"], value).values()) == [value, value]
    assert named.fromkeys(["x"])["x"] is None
    named.clear()
    assert not list(named.items())
    for missing in (lambda: named.pop("b"), named.popitem):
        with pytest.raises(KeyError, match="no parameter"):
            missing()


@pytest.mark.parametrize("kind", [nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict])
def test_a_container_of_none_is_empty(kind):
    assert len(kind(None)) == 0


def test_sequentials_are_joined():
    a, b, c = nn.Tanh(), nn.ReLU(), nn.ELU()
    both = nn.Sequential({"first": a}) + nn.Sequential(b)
    both += [c]
    assert isinstance(both, nn.Sequential)
    assert [*both.named_children()] == [("0", a), ("1", b), ("2", c)]


def test_a_linear_and_a_relu_run_as_one_op_unless_somebody_hooks_into_them():
    row = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.ReLU(), nn.Linear(4, 2))
    x = pb.random.normal((5, 3))
    expected = x
    for module in row:
        expected = module(expected)

    def ops_of(y):
        found, node = [], y.node
        while hasattr(node, "plan"):
            found.append(node.plan.op.name)
            node = node.parents[0]
        return found[::-1]

    assert ops_of(row(x)) == ["linear_relu", "linear_relu", "relu", "linear"]
    assert pb.all(row(x) == expected)
    seen = []
    with row[1].register_forward_hook(lambda module, given, y: seen.append(y.shape)):
        assert ops_of(row(x)) == ["linear", "relu", "linear_relu", "relu", "linear"]
    assert seen == [(5, 4)]
