"""Every schedule, with how its arguments are drawn."""

from .entry import Generator, ScheduleEntry, log_uniform, pick, some


def _factor(rng, low=0.05, high=1.0):
    return float(rng.uniform(low, high))


def _each(rng, low, high):
    """One number for both groups, or one for each."""
    return pick(rng, float(rng.uniform(low, high)), [float(rng.uniform(low, high)) for _ in range(2)])


def _function(rng):
    """A function of the epoch."""
    a, b, period = _factor(rng, 0.5, 1.1), _factor(rng), int(rng.integers(1, 9))
    return pick(
        rng, lambda epoch: a ** (epoch / 5), lambda epoch: 1 / (1 + b * epoch), lambda epoch: a if epoch % period else b
    )


def _functions(rng: Generator):
    return {"lr_lambda": pick(rng, _function(rng), [_function(rng), _function(rng)])}


def _step(rng: Generator):
    return {"step_size": int(rng.integers(1, 20)), **some(rng, {"gamma": _factor(rng)})}


def _multi_step(rng: Generator):
    milestones = [int(m) for m in rng.integers(1, 60, int(rng.integers(0, 6)))]
    return {"milestones": milestones, **some(rng, {"gamma": _factor(rng)})}


def _exponential(rng: Generator):
    return {"gamma": _factor(rng, 0.8, 1.02)}


def _constant(rng: Generator):
    return some(rng, {"factor": _factor(rng), "total_iters": int(rng.integers(1, 60))})


def _linear(rng: Generator):
    total = int(rng.integers(1, 70))
    return some(rng, {"start_factor": _factor(rng), "end_factor": pick(rng, 0.0, _factor(rng)), "total_iters": total})


def _polynomial(rng: Generator):
    return some(rng, {"total_iters": int(rng.integers(1, 70)), "power": _factor(rng, 0.3, 3.0)})


def _cosine(rng: Generator):
    return {"T_max": int(rng.integers(1, 50)), **some(rng, {"eta_min": _factor(rng, 0.0, 0.02)})}


def _restarts(rng: Generator):
    more = {"T_mult": int(rng.integers(1, 4)), "eta_min": _factor(rng, 0.0, 0.02)}
    return {"T_0": int(rng.integers(1, 25)), **some(rng, more)}


def _cyclic(rng: Generator):
    iterations = pick(rng, "cycle", "iterations")
    more = {
        "step_size_up": int(rng.integers(1, 25)),
        "step_size_down": int(rng.integers(1, 25)),
        "mode": pick(rng, "triangular", "triangular2", "exp_range"),
        "gamma": _factor(rng, 0.9, 1.0),
        "cycle_momentum": pick(rng, True, False),
        "base_momentum": _each(rng, 0.5, 0.8),
        "max_momentum": _each(rng, 0.8, 0.99),
    }
    drawn = {"base_lr": _each(rng, 1e-4, 0.01), "max_lr": _each(rng, 0.02, 0.2), **some(rng, more)}
    if rng.uniform() < 0.25:
        shrink = _factor(rng, 0.8, 1.0)
        drawn |= {"scale_fn": lambda count: shrink**count, "scale_mode": iterations}
    return drawn


def _one_cycle(rng: Generator):
    length = pick(rng, {"total_steps": int(rng.integers(61, 120))}, {"epochs": 9, "steps_per_epoch": 7})
    more = {
        "pct_start": _factor(rng, 0.1, 0.45),
        "anneal_strategy": pick(rng, "cos", "linear"),
        "cycle_momentum": pick(rng, True, False),
        "base_momentum": _each(rng, 0.7, 0.85),
        "max_momentum": _each(rng, 0.85, 0.99),
        "div_factor": log_uniform(rng, 2, 50),
        "final_div_factor": log_uniform(rng, 2, 1e5),
        "three_phase": pick(rng, True, False),
    }
    return {"max_lr": _each(rng, 0.02, 0.2), **length, **some(rng, more)}


def _plateau(rng: Generator):
    more = {
        "mode": pick(rng, "min", "max"),
        "factor": _factor(rng, 0.1, 0.9),
        "patience": int(rng.integers(0, 6)),
        "threshold": log_uniform(rng, 1e-5, 0.3),
        "threshold_mode": pick(rng, "rel", "abs"),
        "cooldown": int(rng.integers(0, 5)),
        "min_lr": _each(rng, 1e-4, 1e-2),
        "eps": log_uniform(rng, 1e-9, 1e-3),
    }
    return some(rng, more)


def _swa(rng: Generator):
    more = {"anneal_epochs": int(rng.integers(0, 40)), "anneal_strategy": pick(rng, "cos", "linear")}
    return {"swa_lr": _each(rng, 1e-3, 0.2), **some(rng, more)}


def _make_swa(library, optimizer, **arguments):
    home = library.swa_utils if hasattr(library, "swa_utils") else library.lr_scheduler
    return home.SWALR(optimizer, **arguments)


PARTS = {
    "StepLR": _step,
    "MultiStepLR": _multi_step,
    "ExponentialLR": _exponential,
    "ConstantLR": _constant,
    "LinearLR": _linear,
    "PolynomialLR": _polynomial,
    "CosineAnnealingLR": _cosine,
    "CosineAnnealingWarmRestarts": _restarts,
    "LambdaLR": _functions,
    "MultiplicativeLR": _functions,
    "SWALR": _swa,
}


def _part(rng):
    name = pick(rng, *PARTS)
    return name, PARTS[name](rng)


def _make_parts(library, optimizer, parts):
    make = {"SWALR": _make_swa}
    return [
        make[name](library, optimizer, **options)
        if name in make
        else getattr(library.lr_scheduler, name)(optimizer, **options)
        for name, options in parts
    ]


def _sequence(rng: Generator):
    count = int(rng.integers(1, 5))
    milestones = sorted(int(m) for m in rng.choice(range(1, 60), count - 1, replace=False))
    return {"parts": [_part(rng) for _ in range(count)], "milestones": milestones}


def _make_sequence(library, optimizer, parts, milestones):
    schedules = _make_parts(library, optimizer, parts)
    return library.lr_scheduler.SequentialLR(optimizer, schedules, milestones)


def _chain(rng: Generator):
    names = ("ConstantLR", "LinearLR", "ExponentialLR", "StepLR", "MultiStepLR", "MultiplicativeLR", "PolynomialLR")
    chosen = [pick(rng, *names) for _ in range(int(rng.integers(1, 4)))]
    return {"parts": [(name, PARTS[name](rng)) for name in chosen]}


def _make_chain(library, optimizer, parts):
    return library.lr_scheduler.ChainedScheduler(_make_parts(library, optimizer, parts))


NO_EPOCH = "step() takes no epoch, which PyTorch deprecates."
NO_FUNCTIONS = "The functions are never saved, callable objects neither."

SCHEDULES = [
    ScheduleEntry("StepLR", _step, differs=NO_EPOCH),
    ScheduleEntry("MultiStepLR", _multi_step, differs=NO_EPOCH),
    ScheduleEntry("ConstantLR", _constant, differs=NO_EPOCH),
    ScheduleEntry("LinearLR", _linear, differs=NO_EPOCH),
    ScheduleEntry("ExponentialLR", _exponential, differs=NO_EPOCH),
    ScheduleEntry("PolynomialLR", _polynomial, differs=NO_EPOCH),
    ScheduleEntry("CosineAnnealingLR", _cosine, differs=NO_EPOCH),
    ScheduleEntry(
        "CosineAnnealingWarmRestarts",
        _restarts,
        resumes=False,
        differs="Made with last_epoch, it begins in the wave that this epoch lies in; PyTorch takes it for the first.",
    ),
    ScheduleEntry("LambdaLR", _functions, differs=f"{NO_EPOCH} {NO_FUNCTIONS}"),
    ScheduleEntry("MultiplicativeLR", _functions, differs=f"{NO_EPOCH} {NO_FUNCTIONS}"),
    ScheduleEntry("CyclicLR", _cyclic, differs=f"{NO_EPOCH} {NO_FUNCTIONS}"),
    ScheduleEntry(
        "OneCycleLR",
        _one_cycle,
        differs=f"{NO_EPOCH} Its rates and momenta stand in its own state, not in the optimizer's groups, so the "
        "optimizer's state fits one without a schedule.",
        resumes=False,
    ),
    ScheduleEntry("ReduceLROnPlateau", _plateau, metric=True, resumes=False, differs=NO_EPOCH),
    ScheduleEntry("ChainedScheduler", _chain, make=_make_chain, resumes=False),
    ScheduleEntry(
        "SequentialLR",
        _sequence,
        make=_make_sequence,
        resumes=False,
        differs="A sequence may be a part of a sequence.",
    ),
    ScheduleEntry(
        "SWALR",
        _swa,
        make=_make_swa,
        differs="In `pullback.optim.lr_scheduler`. swa_lr stands in its own state, not in the optimizer's groups.",
    ),
]
