"""Every optimizer, with how its hyperparameters are drawn."""

from .entry import Generator, OptimizerEntry, log_uniform, pick, some
from .references import LAMB, Lion

HINTS = "foreach and fused are taken and make no difference; there is no capturable and no differentiable."
HINT = "foreach is taken and makes no difference; there is no capturable and no differentiable."
NO_COMPLEX = "Complex parameters are refused."


def _lr(rng, low=1e-3, high=0.1):
    return log_uniform(rng, low, high)


def _decay(rng):
    return pick(rng, 0.0, log_uniform(rng, 1e-3, 0.3))


def _betas(rng):
    return pick(rng, 0.9, float(rng.uniform(0, 0.95))), pick(rng, 0.999, float(rng.uniform(0.8, 0.9999)))


def _eps(rng):
    return pick(rng, 1e-8, log_uniform(rng, 1e-7, 1e-2))


def _flag(rng):
    return pick(rng, False, True)


def _sgd(rng: Generator):
    options = some(
        rng,
        {
            "momentum": pick(rng, 0.0, float(rng.uniform(0, 0.95))),
            "weight_decay": _decay(rng),
            "maximize": _flag(rng),
            "dampening": pick(rng, 0.0, float(rng.uniform(0, 0.8))),
        },
    )
    if options.get("momentum") and not options.get("dampening") and _flag(rng):
        options["nesterov"] = True
    return {"lr": _lr(rng), **options}


def _adam(rng: Generator):
    options = {
        "betas": _betas(rng),
        "eps": _eps(rng),
        "weight_decay": _decay(rng),
        "amsgrad": _flag(rng),
        "maximize": _flag(rng),
    }
    return {"lr": _lr(rng), **some(rng, options)}


def _adam_decoupled(rng: Generator):
    return {**_adam(rng), "decoupled_weight_decay": _flag(rng)}


def _moments(rng: Generator):
    options = {"betas": _betas(rng), "eps": _eps(rng), "weight_decay": _decay(rng), "maximize": _flag(rng)}
    return {"lr": _lr(rng), **some(rng, options)}


def _nadam(rng: Generator):
    momentum_decay = pick(rng, 0.0, log_uniform(rng, 1e-3, 0.1))
    return {**_moments(rng), **some(rng, {"momentum_decay": momentum_decay, "decoupled_weight_decay": _flag(rng)})}


def _radam(rng: Generator):
    return {**_moments(rng), **some(rng, {"decoupled_weight_decay": _flag(rng)})}


def _rmsprop(rng: Generator):
    options = {
        "alpha": pick(rng, 0.99, float(rng.uniform(0.5, 0.999))),
        "eps": _eps(rng),
        "weight_decay": _decay(rng),
        "momentum": pick(rng, 0.0, float(rng.uniform(0, 0.9))),
        "centered": _flag(rng),
        "maximize": _flag(rng),
    }
    return {"lr": _lr(rng, 1e-3, 1e-2), **some(rng, options)}


def _adagrad(rng: Generator):
    options = {
        "lr_decay": pick(rng, 0.0, log_uniform(rng, 1e-3, 0.3)),
        "weight_decay": _decay(rng),
        "initial_accumulator_value": pick(rng, 0.0, float(rng.uniform(0, 2))),
        "eps": pick(rng, 1e-10, log_uniform(rng, 1e-8, 1e-2)),
        "maximize": _flag(rng),
    }
    return {"lr": _lr(rng), **some(rng, options)}


def _adadelta(rng: Generator):
    options = {
        "rho": float(rng.uniform(0.5, 0.99)),
        "eps": log_uniform(rng, 1e-7, 1e-2),
        "weight_decay": _decay(rng),
        "maximize": _flag(rng),
    }
    return {"lr": _lr(rng, 0.1, 2.0), **some(rng, options)}


def _rprop(rng: Generator):
    options = {
        "etas": (float(rng.uniform(0.2, 0.9)), float(rng.uniform(1.05, 1.6))),
        "step_sizes": (log_uniform(rng, 1e-6, 1e-2), log_uniform(rng, 0.1, 50)),
        "maximize": _flag(rng),
    }
    return {"lr": _lr(rng), **some(rng, options)}


def _asgd(rng: Generator):
    options = {
        "lambd": pick(rng, 1e-4, log_uniform(rng, 1e-3, 0.5)),
        "alpha": float(rng.uniform(0.3, 1.2)),
        "t0": pick(rng, 1e6, float(rng.integers(0, 40))),
        "weight_decay": _decay(rng),
        "maximize": _flag(rng),
    }
    return {"lr": _lr(rng), **some(rng, options)}


def _adafactor(rng: Generator):
    options = {
        "beta2_decay": -float(rng.uniform(0.2, 1.0)),
        "eps": (pick(rng, None, log_uniform(rng, 1e-8, 1e-2)), log_uniform(rng, 1e-4, 0.1)),
        "d": float(rng.uniform(1, 3)),
        "weight_decay": _decay(rng),
        "maximize": _flag(rng),
    }
    return {"lr": _lr(rng), **some(rng, options)}


def _muon(rng: Generator):
    options = {
        "weight_decay": _decay(rng),
        "momentum": float(rng.uniform(0, 0.99)),
        "nesterov": _flag(rng),
        "eps": log_uniform(rng, 1e-8, 1e-4),
        "ns_steps": int(rng.integers(1, 7)),
        "adjust_lr_fn": pick(rng, None, "original", "match_rms_adamw"),
        "ns_coefficients": pick(rng, (3.4445, -4.775, 2.0315), (2.0, -1.5, 0.5)),
    }
    return {"lr": _lr(rng), **some(rng, options)}


def _lion(rng: Generator):
    options = {"betas": _betas(rng), "weight_decay": _decay(rng), "maximize": _flag(rng)}
    return {"lr": _lr(rng, 1e-4, 1e-2), **some(rng, options)}


def _lbfgs(rng: Generator):
    options = {
        "max_iter": int(rng.integers(1, 12)),
        "max_eval": int(rng.integers(2, 30)),
        "tolerance_grad": log_uniform(rng, 1e-9, 1e-3),
        "tolerance_change": log_uniform(rng, 1e-12, 1e-5),
        "history_size": int(rng.integers(1, 12)),
        "line_search_fn": pick(rng, None, "strong_wolfe"),
    }
    drawn = some(rng, options)
    return {"lr": 1.0 if drawn.get("line_search_fn") else float(rng.uniform(0.05, 0.5)), **drawn}


OPTIMIZERS = [
    OptimizerEntry("SGD", _sgd, differs=HINTS),
    OptimizerEntry("Adam", _adam_decoupled, differs=f"{HINTS} {NO_COMPLEX}"),
    OptimizerEntry("AdamW", _adam, differs=f"{HINTS} {NO_COMPLEX}"),
    OptimizerEntry("Adamax", _moments, differs=f"{HINT} {NO_COMPLEX}"),
    OptimizerEntry(
        "NAdam",
        _nadam,
        differs=f"mu_product, the product of the momenta, is a Python number. {HINT} {NO_COMPLEX}",
    ),
    OptimizerEntry("RAdam", _radam, differs=f"{HINT} {NO_COMPLEX}"),
    OptimizerEntry("RMSprop", _rmsprop, differs=f"{HINT} {NO_COMPLEX}"),
    OptimizerEntry("Adagrad", _adagrad, differs=f"{HINTS} {NO_COMPLEX} The rows of sparse gradients are not known."),
    OptimizerEntry("Adadelta", _adadelta, differs=f"{HINT} {NO_COMPLEX}"),
    OptimizerEntry("Rprop", _rprop, by_group=("lr",), feedback=0.0, differs=f"{HINT} {NO_COMPLEX}"),
    OptimizerEntry(
        "ASGD", _asgd, differs=f"eta and mu, the rate and the share of the coming step, are Python numbers. {HINT}"
    ),
    OptimizerEntry("Adafactor", _adafactor, differs=f"{HINT} {NO_COMPLEX}"),
    OptimizerEntry(
        "Muon",
        _muon,
        shapes=((4, 3), (3, 4), (5, 1)),
        differs="The Newton-Schulz iteration is taken in the parameter's own dtype; PyTorch takes it in bfloat16.",
    ),
    OptimizerEntry(
        "Lion",
        _lion,
        reference=Lion,
        feedback=0.0,
        differs="PyTorch has none; the arguments are those of the authors' own.",
    ),
    OptimizerEntry(
        "LAMB",
        lambda rng: _moments(rng),
        reference=LAMB,
        differs="PyTorch has none. Every parameter has its trust ratio, those without weight decay too.",
    ),
]
"""Compared step by step, with gradients that are given."""

LBFGS = OptimizerEntry(
    "LBFGS",
    _lbfgs,
    differs=f"The parameters are of one dtype. {NO_COMPLEX} Its state is saved as arrays of all iterations, so that no "
    "file needs a list of Tensors.",
)
"""Compared step by step too, by the closures that it takes."""

SAM = OptimizerEntry(
    "SAM",
    lambda rng: {},
    differs="PyTorch has none; the arguments and the steps are those of davda54/sam, but for rho and adaptive, which "
    "are one for all groups.",
)
"""Compared with its paper in tests/optim/test_sam.py."""
