import pytest

import pullback as pb
from pullback import nn, optim
from pullback.train import Diverged, History, Trainer, restart


def ended(monitor, *values, best=1, interrupted=False):
    history = History(monitor)
    for epoch, value in enumerate(values, 1):
        history.append({"epoch": epoch, monitor: value})
    history.best_epoch = best if values else None
    history.interrupted = interrupted
    return history


def fail(seed):
    raise Diverged("the loss is inf", iteration=seed, rate=1.0, last_loss=0.5)


@pytest.mark.parametrize(("monitor", "best"), [("val_loss", 4), ("val_accuracy", 2)])
def test_the_best_by_the_monitored_value_is_kept_and_all_are_reported(monitor, best):
    values = {2: 0.9, 3: 0.5, 4: 0.1}
    result = restart(str, lambda name: ended(monitor, values[int(name)], 77.0), values)
    assert (result.best, result.seed) == (str(best), best)
    assert result.history[monitor] == [values[best], 77.0]
    assert [(a.seed, a.value, a.epoch, a.diverged) for a in result.attempts] == [
        (seed, value, 1, None) for seed, value in values.items()
    ]


def test_a_start_that_diverges_is_reported_and_not_fatal():
    result = restart(int, lambda seed: fail(seed) if seed == 1 else ended("loss", seed), [1, 2, 3])
    assert result.best == 2
    assert result.attempts[0].diverged.iteration == 1
    assert result.attempts[0].value is None
    with pytest.raises(Diverged, match="iteration 1"):
        restart(int, fail, [1, 2])
    with pytest.raises(ValueError, match="no seeds"):
        restart(int, fail, [])


def test_an_interrupted_start_is_the_last():
    result = restart(int, lambda seed: ended("loss", 9.0 - seed, interrupted=seed == 2), range(1, 5))
    assert [a.seed for a in result.attempts] == [1, 2]
    assert result.best == 2
    empty = restart(int, lambda seed: ended("loss", interrupted=True), [5, 6])
    assert (empty.best, empty.attempts[0].value) == (5, None)


def test_the_seed_alone_decides_and_the_default_generator_is_left_alone():
    x = pb.linspace(-1, 1, 40).reshape((40, 1))

    def build(seed):
        model = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Dropout(0.2), nn.Linear(4, 1))
        return Trainer(model, nn.MSELoss(), optim.Adam(model.parameters(), lr=0.01), progress=False)

    def train(seeds):
        return restart(build, lambda trainer: trainer.fit((x, x * x), epochs=2), seeds)

    before = pb.default_generator().state_dict()
    both, alone = train([3, 4]), train([4])
    assert pb.default_generator().state_dict() == before
    assert both.attempts[1] == alone.attempts[0]
    assert both.attempts[0].value != both.attempts[1].value
    assert both.history.best_value == min(a.value for a in both.attempts)
    assert both.best.evaluate((x, x * x))["loss"] > 0
