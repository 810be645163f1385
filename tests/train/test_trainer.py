import csv
import re
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

import pullback as pb
from pullback import data, nn, optim
from pullback.train import Diverged, EarlyStopping, History, Trainer
from pullback.train.metrics import R2, Accuracy, ConfusionMatrix
from pullback.train.progress import Progress


def line(samples=64, noise=0.0):
    """A line to be fitted: x (N, 1) and y = 3 x + 1."""
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, (samples, 1)).astype("float32")
    return x, (3 * x + 1 + noise * generator.normal(size=x.shape)).astype("float32")


def blobs(samples=120):
    """Three clusters in the plane, and which is which."""
    generator = np.random.default_rng(0)
    labels = np.arange(samples) % 3
    centres = np.asarray([[0, 2], [2, -1], [-2, -1]])
    return (centres[labels] + 0.4 * generator.normal(size=(samples, 2))).astype("float32"), labels


def linear(lr=0.1, loss=None, optimizer=optim.SGD, **options):
    """A trainer of one linear layer that starts from zero."""
    model = nn.Linear(1, 1)
    for p in model.parameters():
        p.array = p.array * 0
    options.setdefault("progress", False)
    return Trainer(model, loss or nn.MSELoss(), optimizer(model.parameters(), lr=lr), **options)


def state(trainer):
    return {name: value.numpy().copy() for name, value in trainer.model.state_dict().items()}


def assert_same(first, second):
    assert all(np.array_equal(first[name], second[name]) for name in first)


class Counting:
    """A loss that calls something before one of its calls, counted from 1."""

    def __init__(self, at, then):
        self.calls, self.at, self.then = 0, at, then

    def __call__(self, prediction, target):
        self.calls += 1
        loss = pb.mse_loss(prediction, target)
        return self.then(loss) if self.calls == self.at else loss


def interrupt(loss):
    raise KeyboardInterrupt


SEVERAL_PASSES = {
    "SAM": lambda parameters, lr: optim.SAM(parameters, optim.SGD, rho=0.2, lr=lr),
    "LBFGS": lambda parameters, lr: optim.LBFGS(parameters, lr, max_iter=4, line_search_fn="strong_wolfe"),
}
several_passes = pytest.mark.parametrize("optimizer", SEVERAL_PASSES.values(), ids=SEVERAL_PASSES)


def test_a_line_is_learnt_on_every_backend(place):
    trainer = linear(metrics=[R2()])
    history = trainer.fit(line(), validation=line(32), epochs=80)
    assert state(trainer)["weight"] == pytest.approx(3, abs=1e-3)
    assert state(trainer)["bias"] == pytest.approx(1, abs=1e-3)
    assert history.columns == ["epoch", "iterations", "loss", "r2", "val_loss", "val_r2", "lr", "seconds"]
    assert history["epoch"] == list(range(1, 81))
    assert history["iterations"] == list(range(2, 162, 2))
    assert history["val_r2"][-1] > 0.999
    assert min(history["seconds"]) > 0
    assert type(trainer.predict(line()[0]).array) is type(trainer.model.weight.array)


def test_classes_are_learnt_and_counted():
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))
    metrics = [Accuracy(), ConfusionMatrix(3)]
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics=metrics, progress=False)
    (x, y), (x_test, y_test) = data.split(*blobs(), fractions=(0.75, 0.25), stratify=blobs()[1])
    history = trainer.fit((x, y), epochs=15)
    result = trainer.evaluate((x_test, y_test))
    assert set(result) == {"loss", "accuracy", "confusion_matrix"}
    assert "confusion_matrix" not in history
    predicted = trainer.predict(x_test).numpy().argmax(axis=1)
    assert result["accuracy"] == np.mean(predicted == y_test) > 0.95
    assert result["confusion_matrix"].trace() == sum(predicted == y_test)


def test_the_same_seed_trains_the_same_model():
    def trained(seed):
        pb.manual_seed(seed)
        model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.3), nn.Linear(8, 3))
        trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()), progress=False)
        trainer.fit(blobs(), epochs=2)
        return state(trainer)

    first = trained(1)
    assert_same(first, trained(1))
    assert not np.array_equal(first["0.weight"], trained(2)["0.weight"])


def test_losses_are_weighted_by_samples_and_nothing_is_learnt_from_validation():
    trainer, (x, y) = linear(metrics=[R2()]), line(10)
    before = state(trainer)
    result = trainer.evaluate(data.DataLoader(x, y, batch_size=4))
    assert_same(before, state(trainer))
    assert result["loss"] == pytest.approx(np.mean(y.astype("float64") ** 2), rel=1e-6)
    assert result["r2"] == pytest.approx(1 - np.sum(y**2) / np.sum((y - y.mean()) ** 2), rel=1e-5)
    frozen = linear(lr=0.0)
    assert frozen.fit(data.DataLoader(x, y, batch_size=4))["loss"] == [pytest.approx(result["loss"], rel=1e-6)]


def test_the_model_trains_in_training_mode_and_is_measured_in_evaluation_mode():
    modes = []

    class Model(nn.Linear):
        def forward(self, x):
            modes.append(self.training)
            return super().forward(x)

    model = Model(1, 1).eval()
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    trainer.fit(line(32), validation=line(32), epochs=2)
    assert modes == [True, False, True, False]
    assert not model.training
    model.train()
    assert not trainer.predict(line()[0]).requires_grad
    assert modes[-1] is False
    assert model.training


@pytest.mark.on_numpy
def test_predictions_come_in_the_order_of_the_samples():
    x, y = line(600)
    trainer = linear()
    trainer.fit((x, y), epochs=3)
    expected = trainer.model(pb.asarray(x)).numpy()
    for inputs in (x, pb.asarray(x), (x,), data.DataLoader(x, batch_size=7), data.DataLoader(x, y, batch_size=100)):
        np.testing.assert_allclose(trainer.predict(inputs).numpy(), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="shuffles"):
        trainer.predict(data.DataLoader(x, shuffle=True))


def test_a_model_may_take_several_inputs():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(pb.zeros(()))

        def forward(self, a, b):
            return self.weight * (a + b)

    model, (x, _) = Sum(), line()
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.3), progress=False)
    trainer.fit((x, x, 4 * x), epochs=60)
    assert model.weight.item() == pytest.approx(2, abs=1e-3)
    np.testing.assert_allclose(trainer.predict((x, x)).numpy(), 4 * x, atol=1e-2)


def overtrained(**options):
    """A run whose validation loss falls and then rises: what is learnt passes by what is asked."""
    x, y = line()
    trainer = linear(lr=0.01, optimizer=optim.Adam, **options)
    return trainer, trainer.fit((x, y), validation=(x, 0.3 * y), epochs=60)


def test_the_weights_of_the_best_epoch_are_put_back(place):
    x, y = line()
    trainer, history = overtrained()
    best = min(history["val_loss"])
    assert history.best_epoch == 1 + history["val_loss"].index(best) < 60
    assert history.best_value == best
    assert trainer.evaluate((x, 0.3 * y))["loss"] == best
    trainer, history = overtrained(restore_best_weights=False)
    assert trainer.evaluate((x, 0.3 * y))["loss"] == history["val_loss"][-1] > best


def test_training_stops_when_it_no_longer_helps():
    _, whole = overtrained()
    trainer, history = overtrained(early_stopping=EarlyStopping(patience=4))
    assert history.stopped_early
    assert history.best_epoch == whole.best_epoch
    assert len(history) == whole.best_epoch + 4
    assert not whole.stopped_early
    trainer.early_stopping.patience = 1
    assert len(trainer.fit(line(), validation=line(), epochs=3)) > 1  # every fit starts counting anew


def test_without_validation_data_the_training_loss_decides():
    history = linear(early_stopping=EarlyStopping("loss", patience=2, min_delta=0.1)).fit(line(), epochs=50)
    assert history.stopped_early
    assert linear().fit(line(), epochs=2).monitor == "loss"
    with pytest.raises(ValueError, match=r"watches 'val_loss'; this run measures loss. Give fit validation data"):
        linear(early_stopping=EarlyStopping()).fit(line())


def test_ctrl_c_keeps_the_best_weights():
    x, y = line()
    kept = linear()
    expected = kept.fit(data.DataLoader(x, y), validation=(x, y), epochs=3)
    trainer = linear(loss=Counting(3 * 3 + 2, interrupt))  # two batches and a validation an epoch
    history = trainer.fit(data.DataLoader(x, y), validation=(x, y), epochs=20)
    assert history.interrupted
    assert len(history) == history.best_epoch == 3
    assert history["val_loss"] == expected["val_loss"]
    assert_same(state(trainer), state(kept))
    assert trainer.model.training


def test_ctrl_c_in_the_first_epoch_keeps_what_was_learnt_so_far():
    x, y = line()
    kept = linear()
    kept.fit(data.DataLoader(x[:32], y[:32]))
    trainer = linear(loss=Counting(2, interrupt))
    history = trainer.fit(data.DataLoader(x, y), epochs=5)
    assert (history.interrupted, len(history), history.best_epoch) == (True, 0, None)
    assert_same(state(trainer), state(kept))


@pytest.mark.parametrize("lr", [20.0, 1e30])
def test_divergence_puts_back_the_parameters_of_the_last_good_loss(place, lr):
    x, y = line(32)
    trainer = linear(lr=lr)
    message = rf"iteration \d+, learning rate {re.escape(f'{lr:g}')}: the loss is .* last good loss"
    with pytest.raises(Diverged, match=message) as caught:
        trainer.fit(data.DataLoader(x, y), epochs=1000)
    error = caught.value
    assert error.rate == lr
    assert len(error.history) == error.iteration - 1
    assert error.last_loss == error.history["loss"][-1]
    assert trainer.evaluate((x, y))["loss"] == pytest.approx(error.last_loss, rel=1e-6)
    trainer.optimizer.param_groups[0]["lr"] = 0.1
    again = trainer.fit((x, y), epochs=60)  # and training can go on from there
    assert again["loss"][-1] < 0.01 * again["loss"][0]


def test_a_loss_that_is_not_a_number_stops_training_before_it_is_learnt_from():
    x, y = line(64)
    kept = linear()
    kept.fit(data.DataLoader(x[:32], y[:32]))
    trainer = linear(loss=Counting(3, lambda loss: loss * float("nan")))
    with pytest.raises(Diverged, match=r"iteration 3, .*the loss is nan; .*NaN or infinity in the data") as caught:
        trainer.fit(data.DataLoader(x, y), epochs=2)
    assert caught.value.iteration == 3
    # The loss before it was the second, and that one was of the parameters after one update.
    assert_same(state(trainer), state(kept))


def test_a_first_loss_that_is_not_a_number_blames_the_data():
    x, y = line(8)
    trainer = linear()
    with pytest.raises(Diverged, match="Look for NaN") as caught:
        trainer.fit((x * np.float32("nan"), y))
    assert caught.value.last_loss is None
    assert state(trainer)["weight"] == 0


def test_the_last_update_of_an_epoch_is_watched_too():
    trainer = linear(lr=3e38)
    with pytest.raises(Diverged, match="the parameters are not finite"):
        trainer.fit(line(32), epochs=1)
    assert state(trainer)["weight"] == 0


def test_running_averages_are_put_back_too():
    class Average(nn.Linear):
        def __init__(self):
            super().__init__(1, 1)
            self.register_buffer("mean", pb.zeros(()))

        def forward(self, x):
            y = super().forward(x)
            if self.training:
                self.mean = 0.5 * self.mean + 0.5 * y.detach().mean()
            return y

    x, y = line(96)
    means = []
    for samples in (64, 96):
        model = Average()
        model.weight.array *= 0
        model.bias.array = model.bias.array * 0 + 5
        loss = Counting(3 if samples == 96 else None, lambda loss: loss * float("nan"))
        trainer = Trainer(model, loss, optim.SGD(model.parameters(), lr=0.1), progress=False)
        with nullcontext() if samples == 64 else pytest.raises(Diverged):
            trainer.fit(data.DataLoader(x[:samples], y[:samples]))
        means.append(model.mean.item())
    assert means[0] == means[1]


def test_a_first_loss_of_zero_does_not_make_the_next_one_divergence():
    x, y = line(64)
    y[:32] = 0
    trainer = linear()  # predicts 0
    assert len(trainer.fit(data.DataLoader(x, y), epochs=2)) == 2


def test_divergence_may_be_let_be():
    trainer = linear(lr=20.0, detect_divergence=False, restore_best_weights=False)
    trainer.fit(line(32), epochs=5)
    assert trainer.evaluate(line(32))["loss"] > 1e9


@several_passes
def test_optimizers_that_evaluate_a_batch_several_times_are_given_a_closure(place, optimizer):
    batches = [tuple(map(pb.tensor, (a, b))) for a, b in zip(*(np.split(part, 4) for part in line()), strict=True)]
    trainer, by_hand = (linear(optimizer=optimizer, restore_best_weights=False) for _ in range(2))
    history = trainer.fit(batches, epochs=2)
    losses = []

    def closure(x, y):
        by_hand.optimizer.zero_grad()
        loss = by_hand.loss(by_hand.model(x), y)
        loss.backward()
        return loss

    for x, y in 2 * batches:
        losses.append(by_hand.optimizer.step(partial(closure, x, y)).item())
    assert_same(state(trainer), state(by_hand))
    assert history["loss"] == pytest.approx(np.mean(np.split(np.asarray(losses), 2), axis=1))
    assert history["loss"][1] < history["loss"][0]


@several_passes
def test_running_averages_are_taken_once_a_batch_and_where_the_model_is(optimizer):
    found = []
    for make in (optimizer, optim.SGD):
        pb.manual_seed(0)
        model = nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
        trainer = Trainer(model, nn.MSELoss(), make(model.parameters(), lr=0.1), progress=False)
        trainer.fit([tuple(map(pb.tensor, line(16)))])
        found.append({name: buffer.numpy() for name, buffer in model.named_buffers()})
    assert found[0]["1.num_batches_tracked"] == 1
    assert_same(*found)


@several_passes
@pytest.mark.parametrize("diverges", [False, True])
def test_an_update_of_several_passes_that_is_cut_off_leaves_good_weights(place, optimizer, diverges):
    batch = tuple(map(pb.tensor, line(16)))
    uncut = linear(optimizer=optimizer, restore_best_weights=False)
    uncut.loss = Counting(None, None)
    start = state(uncut)
    uncut.fit([batch], epochs=1)
    second = uncut.loss.calls  # the first pass of the second update: here a look at the end took its place
    end = Counting(second, lambda loss: loss * float("nan")) if diverges else Counting(second + 1, interrupt)
    cut = linear(loss=end, optimizer=optimizer, restore_best_weights=False)
    with pytest.raises(Diverged) if diverges else nullcontext():
        cut.fit([batch], epochs=2)
    assert_same(state(cut), start if diverges else state(uncut))


@pytest.mark.parametrize("every", ["epoch", "iteration"])
def test_a_schedule_steps_after_every_epoch_or_every_iteration(every):
    rates = []

    def loss(prediction, target):
        rates.append(optimizer.param_groups[0]["lr"])
        return pb.mse_loss(prediction, target)

    model = linear().model
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    trainer = Trainer(model, loss, optimizer, schedule=schedule, schedule_every=every, progress=False)
    history = trainer.fit(line(), epochs=3)
    steps = [0, 0, 1, 1, 2, 2] if every == "epoch" else range(6)
    del rates[6:]  # the last batch is looked at once more at the end
    assert rates == pytest.approx([0.1 / (1 + step) for step in steps])
    assert history["lr"] == pytest.approx(rates[::2])


def test_a_schedule_that_wants_a_value_gets_the_monitored_one():
    values = []

    class Plateau:
        def step(self, metrics):
            values.append(metrics)

    history = linear(schedule=Plateau()).fit(line(), validation=line(16), epochs=3)
    assert values == history["val_loss"]


def test_gradients_are_clipped_to_a_norm():
    x, y = line(32)
    trainer = linear(lr=1.0, clip_norm=0.01)
    trainer.fit((x, y), epochs=1)
    moved = np.concatenate([value.ravel() for value in state(trainer).values()])
    assert np.linalg.norm(moved) == pytest.approx(0.01, rel=1e-3)


def test_the_history_is_written_as_a_table(tmp_path):
    history = linear(metrics=[R2()]).fit(line(), validation=line(8), epochs=3)
    history.to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == list(history)
    assert [p.name for p in tmp_path.iterdir()] == ["history.csv"]
    with pytest.raises(KeyError, match="no 'val_accuracy'; it has epoch, iterations, loss"):
        history["val_accuracy"]


def test_a_table_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    history = History()
    history.append({"loss": 0.5})
    (tmp_path / "history.csv").mkdir()
    with pytest.raises(OSError, match="history"):
        history.to_csv(tmp_path / "history.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["history.csv"]


def test_the_bar_shows_epoch_iteration_loss_and_speed(capfd):
    linear(progress=True).fit(line(), validation=line(8), epochs=2)
    shown = capfd.readouterr()
    for words in ("epoch 2/2", "100%", "samples/s", "iteration 4", "loss ", "val_loss "):
        assert words in shown.err
    assert shown.out == ""
    linear(progress=False).fit(line(), epochs=2)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: t.fit(line(), epochs=0), ValueError, "epochs is a whole number"),
        (lambda t: t.fit(line(), epochs=True), ValueError, "epochs is a whole number"),
        (lambda t: linear(metrics=[Accuracy]), TypeError, r"Accuracy is a class; give Accuracy\(\)"),
        (lambda t: linear(metrics=["acuracy"]), ValueError, "there is no metric 'acuracy'"),
        (lambda t: linear(metrics=[abs]), TypeError, "is no metric: it lacks name, update"),
        (lambda t: linear(metrics=[R2(), R2()]), ValueError, "two measures are named 'r2'"),
        (lambda t: t.fit(np.ones((4, 1))), TypeError, "DataLoader, an ArrayDataset or a tuple"),
        (lambda t: t.fit((np.ones((4, 1)),)), ValueError, r"DataLoader\(x, x\)"),
        (lambda t: t.fit(data.DataLoader(*line(4), drop_last=True)), ValueError, "no batch"),
        (lambda t: linear(clip_norm=0), ValueError, "clip_norm"),
        (lambda t: linear(schedule_every="day"), ValueError, "schedule_every"),
    ],
)
def test_a_bad_argument_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(linear())


@pytest.mark.parametrize("validated", [True, False])
def test_harm_done_by_the_very_last_update_is_noticed(validated):
    trainer = linear(lr=1e30)
    x, y = line(32)
    with pytest.raises(Diverged) as caught:
        trainer.fit((x, y), (x, y) if validated else None)
    assert state(trainer)["weight"] == 0
    assert len(caught.value.history) == 0


@pytest.mark.on_numpy
def test_a_list_of_batches_is_no_list_of_arrays():
    x, y = line(64)
    trainers = [linear() for _ in range(2)]
    trainers[0].fit([(x[:32], y[:32]), [x[32:], y[32:]]], epochs=np.int64(2))
    trainers[1].fit(data.DataLoader(x, y, batch_size=32), epochs=2)
    assert_same(*map(state, trainers))
    assert trainers[0].predict(list(x)).shape == (64, 1)


def test_a_narrow_terminal_shows_the_speed(capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with Progress(100, 50000, True) as bar:
        for epoch in (99, 100):
            bar.start(epoch)
            bar.advance(50000, epoch * 1000, 0.1234)
            bar.finish({"epoch": epoch, "val_loss": 0.25, "val_accuracy": 0.9, "val_something_long": 0.5})
        bar._bar.refresh()
    last = capfd.readouterr().err.rstrip().rsplit("\r", 1)[-1][:80]
    for words in ("epoch 100/100", "iteration 100000", "loss 0.1234", "samples/s"):
        assert words in last
