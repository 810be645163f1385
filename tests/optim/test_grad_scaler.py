"""Loss scaling: PyTorch's sequence of scales and skipped steps, and one look at all gradients."""

import logging

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim
from pullback.autodiff.tensor import Tensor

pytestmark = pytest.mark.on_numpy

INF, NAN = np.inf, np.nan
SETTINGS = {"init_scale": 1024.0, "growth_factor": 4.0, "backoff_factor": 0.25, "growth_interval": 3}


@pytest.fixture
def model():
    return nn.Linear(3, 2)


def give_gradients(parameters, value):
    for p in parameters:
        p.grad = pb.asarray(np.full(p.shape, 0.5, "float32"))
    p.grad = pb.asarray(np.full(p.shape, value, "float32"))


@pytest.mark.parity
@pytest.mark.parametrize("interval", [1, 3])
def test_scales_and_skips_are_those_of_pytorch(interval):
    torch = pytest.importorskip("torch")
    script = [1.0, 2.0, INF, 3.0, 1.0, 1.0, NAN, -INF, *[1.0] * 7, 3e38, *[INF] * 4, *[0.0] * 8]
    settings = SETTINGS | {"growth_interval": interval}
    w, weight = pb.tensor(np.zeros(2, "float32"), requires_grad=True), torch.zeros(2, requires_grad=True)
    mine, its = optim.GradScaler(**settings), torch.amp.GradScaler("cpu", **settings)
    ours, theirs = optim.SGD([w], lr=0.5), torch.optim.SGD([weight], lr=0.5)
    its.scale(torch.zeros(1))  # PyTorch's scaler has no scale before
    for number, value in enumerate(script):
        w.grad = pb.asarray(np.array([1.0, value], "float32"))
        weight.grad = torch.tensor([1.0, value])
        if number % 3 == 0:
            mine.unscale_(ours), its.unscale_(theirs)
        mine.step(ours), its.step(theirs)
        mine.update(), its.update()
        assert mine.state_dict() == its.state_dict()
        np.testing.assert_array_equal(w.numpy(), weight.detach().numpy())
    assert mine.skipped == sum(not np.isfinite(value) for value in script)
    other = optim.GradScaler()
    other.load_state_dict(its.state_dict())
    assert other.state_dict() == its.state_dict()


def test_a_step_that_is_skipped_changes_nothing_and_is_reported(model, caplog):
    optimizer, scaler = optim.Adam(model.parameters()), optim.GradScaler(init_scale=8.0)
    before, state = model.state_dict(), optimizer.state_dict()
    give_gradients(model.parameters(), NAN)
    with caplog.at_level(logging.INFO, logger="pullback"):
        assert scaler.step(optimizer) is None
        scaler.update()
    assert all(np.array_equal(value.numpy(), before[name].numpy()) for name, value in model.state_dict().items())
    assert optimizer.state_dict() == state
    assert (scaler.skipped, scaler.found_inf, scaler.get_scale()) == (1, True, 4.0)
    (record,) = caplog.records
    assert record.getMessage() == (
        "a step of Adam was skipped: at a loss scale of 8 its gradients are not finite (1 skipped so far)"
    )
    give_gradients(model.parameters(), 1.0)
    scaler.step(optimizer)
    assert (scaler.skipped, scaler.found_inf) == (1, False)
    assert not np.array_equal(model.weight.numpy(), before["weight"].numpy())


def test_however_many_the_parameters_one_value_is_read(model, monkeypatch):
    deep = nn.Sequential(*(nn.Linear(4, 4) for _ in range(10)))
    optimizer, scaler = optim.SGD(deep.parameters(), lr=0.1), optim.GradScaler()
    give_gradients(deep.parameters(), 1.0)
    read = []
    item, as_bool, to_numpy = Tensor.item, Tensor.__bool__, Tensor.numpy
    monkeypatch.setattr(Tensor, "item", lambda self: read.append("item") or to_numpy(self).item())
    monkeypatch.setattr(Tensor, "__bool__", lambda self: read.append("bool") or as_bool(self))
    monkeypatch.setattr(Tensor, "numpy", lambda self: read.append("numpy") or to_numpy(self))
    scaler.unscale_(optimizer)
    assert read == []
    scaler.step(optimizer)
    scaler.update()
    assert read == ["item"]
    assert item is not Tensor.item


def test_gradients_are_those_of_the_loss_itself_and_can_be_clipped(model):
    x = pb.asarray(np.random.default_rng(0).standard_normal((5, 3)).astype("float32"))

    def trained(scaler):
        pb.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        scaler.scale((model(x) ** 2).sum()).backward()
        known = scaler.unscale_(optimizer)
        norm = optim.get_total_norm([p.grad for p in model.parameters()])
        assert known is None or known.item() == pytest.approx(norm.item(), rel=1e-6)
        optim.clip_grads_with_norm_(model.parameters(), 0.1, norm if known is None else known)
        scaler.step(optimizer)
        scaler.update()
        return norm.item(), model.weight.numpy()

    (norm, weight), (expected, like) = trained(optim.GradScaler()), trained(optim.GradScaler(enabled=False))
    assert norm == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(weight, like, rtol=1e-6)


def test_each_optimizer_is_looked_at_for_itself_and_all_share_a_scale(model):
    other, scaler = nn.Linear(3, 2), optim.GradScaler(init_scale=16.0)
    first, second = (optim.SGD(m.parameters(), lr=0.1) for m in (model, other))
    give_gradients(model.parameters(), INF)
    give_gradients(other.parameters(), 1.0)
    before = model.weight.numpy().copy(), other.weight.numpy().copy()
    scaler.step(first)
    scaler.step(second)
    scaler.update()
    assert np.array_equal(model.weight.numpy(), before[0])
    assert not np.array_equal(other.weight.numpy(), before[1])
    assert (scaler.get_scale(), scaler.skipped) == (8.0, 1)


def test_gradients_of_several_types_are_looked_at_together():
    wide, narrow = (pb.tensor(np.ones(2, kind), requires_grad=True) for kind in ("float64", "float32"))
    optimizer, scaler = optim.SGD([wide, narrow], lr=1.0), optim.GradScaler(init_scale=2.0)
    wide.grad, narrow.grad = pb.asarray(np.array([2.0, 4.0])), pb.asarray(np.array([1.0, INF], "float32"))
    scaler.step(optimizer)
    assert (wide.tolist(), wide.grad.tolist(), wide.grad.dtype) == ([1.0, 1.0], [1.0, 2.0], pb.float64)
    assert scaler.found_inf


def test_what_comes_out_of_order_is_refused(model):
    optimizer, scaler = optim.SGD(model.parameters(), lr=0.1), optim.GradScaler()
    with pytest.raises(RuntimeError, match=r"update\(\) ends an iteration in which step\(optimizer\) was called"):
        scaler.update()
    give_gradients(model.parameters(), 1.0)
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match=r"unscale_\(\) was called already in this iteration of SGD"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match=r"unscale_\(\) comes before step\(\)"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match=r"step\(\) was called already for SGD"):
        scaler.step(optimizer)
    scaler.update()
    with pytest.raises(RuntimeError, match="takes no closure"):
        scaler.step(optimizer, closure=lambda: None)
    with pytest.raises(RuntimeError, match="takes no closure"):
        scaler.step(optimizer, lambda: None)


def test_gradients_of_float16_are_refused():
    w = pb.tensor(np.ones(2, "float16"), requires_grad=True)
    w.grad = pb.ones(2, dtype="float16")
    with pytest.raises(ValueError, match=r"keep the parameters float32, and compute in float16 inside pb\.autocast"):
        optim.GradScaler().unscale_(optim.SGD([w], lr=0.1))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"growth_factor": 1.0}, "growth_factor is greater than 1; got 1.0"),
        ({"backoff_factor": 1.0}, "backoff_factor is between 0 and 1; got 1.0"),
        ({"init_scale": NAN}, "init_scale is a positive number; got nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, complaint):
    with pytest.raises(ValueError, match=complaint):
        optim.GradScaler(**given)


def test_a_scale_is_set_by_hand_and_several_losses_are_scaled():
    scaler = optim.GradScaler(init_scale=4.0)
    one, (two, three) = scaler.scale([pb.tensor(1.0), (pb.tensor(2.0), pb.tensor(np.float16(3.0)))])
    assert [float(x) for x in (one, two, three)] == [4.0, 8.0, 12.0]
    assert three.dtype == pb.float32
    with pytest.raises(TypeError, match="a loss to be scaled is a Tensor"):
        scaler.scale(1.0)
    scaler.update(2.0)
    assert scaler.get_scale() == 2.0
    scaler.update(pb.tensor(8.0))
    assert scaler.get_scale() == 8.0
    with pytest.raises(ValueError, match="a scale is a positive number; got -1"):
        scaler.update(-1.0)


def test_a_scaler_that_is_not_enabled_does_nothing_but_the_step(model):
    scaler, optimizer = optim.GradScaler(enabled=False), optim.SGD(model.parameters(), lr=0.1)
    loss = pb.tensor(1.0)
    assert scaler.scale(loss) is loss
    give_gradients(model.parameters(), INF)
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert not np.isfinite(model.bias.numpy()).all()
    assert (scaler.get_scale(), scaler.state_dict(), scaler.is_enabled(), scaler.skipped) == (1.0, {}, False, 0)


def test_a_state_that_lacks_something_is_refused():
    scaler = optim.GradScaler()
    with pytest.raises(ValueError, match="missing: scale, growth_factor"):
        scaler.load_state_dict({})
    assert scaler.get_scale() == 2.0**16


def test_a_scale_grows_no_further_than_float32_reaches(model):
    scaler, optimizer = optim.GradScaler(init_scale=2.0**126, growth_interval=1), optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        give_gradients(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 2.0**127


def test_a_scale_in_the_place_of_the_device_is_refused() -> None:
    with pytest.raises(TypeError, match=r"write init_scale=1024\.0"):
        optim.GradScaler(1024.0)
    with pytest.raises(ValueError, match="growth_interval is a whole number"):
        optim.GradScaler(growth_interval=0)
