"""Entries of losses and of the distances that they are made of."""

import warnings

import numpy as np

import pullback as pb
from pullback import nn

from .entry import Drawn, Entry, Generator, pick

DEPRECATED = "size_average and reduce, which PyTorch has deprecated, are not there"
PAIR = "a target of another shape is refused, not broadcast; the result has the input's data type"


def _lead(rng: Generator, least: int = 0, most: int = 2) -> tuple[int, ...]:
    return tuple(map(int, rng.integers(1, 5, rng.integers(least, most + 1))))


def _reduction(rng: Generator) -> dict:
    return {"reduction": pick(rng, "mean", "sum", "none")}


def _maybe(rng: Generator, name: str, *shape: int) -> dict:
    """A weight, or none."""
    return pick(rng, {}, {name: rng.uniform(0.2, 2, shape)})


def _pair(rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two of one shape; some elements are equal, and some a whole number apart, where losses have kinks."""
    shape = _lead(rng, 1, 3)
    x, t = 2 * rng.standard_normal(shape), 2 * rng.standard_normal(shape)
    return x, np.where(rng.uniform(size=shape) < 0.2, x, t)


def _plain(rng: Generator) -> Drawn:
    return Drawn(_reduction(rng), _pair(rng))


def _with(name: str, *choices: float):
    return lambda rng: Drawn({**_reduction(rng), name: pick(rng, *choices)}, _pair(rng))


def _binary(rng: Generator) -> Drawn:
    shape = _lead(rng, 1, 3)
    inputs = rng.uniform(0.01, 0.99, shape), rng.uniform(size=shape)
    return Drawn({**_reduction(rng), **_maybe(rng, "weight", shape[-1])}, inputs)


def _binary_with_logits(rng: Generator) -> Drawn:
    shape = _lead(rng, 1, 3)
    options = {**_maybe(rng, "weight", shape[-1]), **_maybe(rng, "pos_weight", shape[-1])}
    inputs = 5 * rng.standard_normal(shape), rng.uniform(size=shape)
    return Drawn({**_reduction(rng), **options}, inputs)


def _classes(rng: Generator, shape: tuple[int, ...], classes: int, ignored: int | None) -> np.ndarray:
    """Classes, of which some are ignored, but never all."""
    drawn = np.asarray(rng.integers(0, classes, shape))
    if ignored is not None:
        drawn = np.where(rng.uniform(size=shape) < 0.3, ignored, drawn)
        drawn.reshape(-1)[0] = (ignored + 1) % classes if ignored >= 0 else 0
    return drawn


def _classified(rng: Generator, **options) -> Drawn:
    classes, lead = int(rng.integers(2, 6)), _lead(rng, 0, 3)
    ignored = pick(rng, None, -100, 1)
    options |= {**_reduction(rng), **_maybe(rng, "weight", classes)}
    target = _classes(rng, lead, classes, ignored)
    return Drawn(
        options if ignored is None else {**options, "ignore_index": ignored}, (np.zeros((*lead, classes)), target)
    )


def _cross_entropy(rng: Generator) -> Drawn:
    drawn = _classified(rng, label_smoothing=pick(rng, 0.0, 0.1, 1.0))
    (*lead, classes), options = drawn.inputs[0].shape, dict(drawn.options)
    target = pick(rng, drawn.inputs[1], rng.dirichlet(np.ones(classes), lead))
    if target.dtype.kind == "f":
        options.pop("ignore_index", None)
    return Drawn(options, (3 * rng.standard_normal((*lead, classes)), target))


def _linear_cross_entropy(rng: Generator) -> Drawn:
    drawn = _cross_entropy(rng)
    (*lead, classes), target, options = drawn.inputs[0].shape, drawn.inputs[1], dict(drawn.options)
    lead, lengths = tuple(lead[:1]), tuple(lead[1:])
    options |= {"in_features": int(rng.integers(1, 5)), "num_classes": classes, "bias": pick(rng, True, False)}
    return Drawn(options | {"out_features": lengths}, (rng.standard_normal((*lead, options["in_features"])), target))


def _nll(rng: Generator) -> Drawn:
    drawn = _classified(rng)
    lead, classes = drawn.inputs[0].shape[:-1], drawn.inputs[0].shape[-1]
    return drawn._replace(inputs=(np.log(rng.dirichlet(np.ones(classes), lead)), drawn.inputs[1]))


def _classes_second(name: str):
    """PyTorch's loss, called with classes last."""

    def make(torch, **options):
        class Moved(getattr(torch.nn, name)):
            def forward(self, input, target):
                probabilities = target.is_floating_point()
                input, given = (torch.movedim(x, -1, 1).contiguous() if x.ndim > 1 else x for x in (input, target))
                return super().forward(input, given if probabilities else target)

        return Moved(**options)

    return make


def _kl_div(rng: Generator) -> Drawn:
    shape, log_target = _lead(rng, 1, 3), pick(rng, True, False)
    p, q = (np.log(rng.uniform(0.05, 1, shape)) for _ in range(2))
    options = {"reduction": pick(rng, "mean", "sum", "none", "batchmean"), "log_target": log_target}
    return Drawn(options, (p, q if log_target else np.exp(q)))


def _kl_div_theirs(torch, **options):
    loss = torch.nn.KLDivLoss(**options)

    def call(input, target):
        with warnings.catch_warnings():  # it warns of "mean" in every call
            warnings.simplefilter("ignore", UserWarning)
            return loss(input, target)

    return call


def _poisson(rng: Generator) -> Drawn:
    shape, log_input = _lead(rng, 1, 3), pick(rng, True, False)
    input = rng.standard_normal(shape) if log_input else rng.uniform(0.1, 3, shape)
    options = {"log_input": log_input, "full": pick(rng, True, False), "eps": pick(rng, 1e-8, 1e-2)}
    return Drawn({**options, **_reduction(rng)}, (input, rng.uniform(0.1, 5, shape)))


def _gaussian(rng: Generator) -> Drawn:
    shape = _lead(rng, 1, 3)
    var = rng.uniform(0.05, 3, pick(rng, shape, shape[:-1], (*shape[:-1], 1)))
    input, target = rng.standard_normal(shape), rng.standard_normal(shape)
    options = {"full": pick(rng, True, False), "eps": pick(rng, 1e-6, 0.5), **_reduction(rng)}
    return Drawn(options, (input, target, pick(rng, var, var, 0.7)))


def _signs(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(rng.choice([-1, 1], shape))


def _margin_ranking(rng: Generator) -> Drawn:
    x1, x2 = _pair(rng)
    return Drawn({"margin": pick(rng, 0.0, 0.5), **_reduction(rng)}, (x1, x2, 1.0 * _signs(rng, x1.shape)))


def _hinge_embedding(rng: Generator) -> Drawn:
    shape = _lead(rng, 1, 3)
    input = np.where(rng.uniform(size=shape) < 0.2, 0.5, rng.standard_normal(shape))
    return Drawn({"margin": pick(rng, 0.5, 1.0), **_reduction(rng)}, (input, _signs(rng, shape)))


def _cosine_embedding(rng: Generator) -> Drawn:
    lead, length = pick(rng, (), (4,)), int(rng.integers(1, 5))
    x1, x2 = rng.standard_normal((2, *lead, length))
    return Drawn({"margin": pick(rng, 0.0, 0.3, -0.5), **_reduction(rng)}, (x1, x2, _signs(rng, lead)))


def _soft_margin(rng: Generator) -> Drawn:
    x, _ = _pair(rng)
    return Drawn(_reduction(rng), (5 * x, _signs(rng, x.shape)))


def _multi_margin(rng: Generator) -> Drawn:
    lead, classes = pick(rng, (), (5,)), int(rng.integers(2, 6))
    x = np.where(rng.uniform(size=(*lead, classes)) < 0.4, 1.0, rng.standard_normal((*lead, classes)))
    options = {"p": pick(rng, 1, 2), "margin": pick(rng, 1.0, 0.5, 0.0), **_maybe(rng, "weight", classes)}
    return Drawn({**options, **_reduction(rng)}, (x, np.asarray(rng.integers(0, classes, lead))))


def _multilabel_margin(rng: Generator) -> Drawn:
    lead, classes = pick(rng, (), (5,)), int(rng.integers(2, 6))
    x = np.where(rng.uniform(size=(*lead, classes)) < 0.4, 1.0, rng.standard_normal((*lead, classes)))
    return Drawn(_reduction(rng), (x, np.asarray(rng.integers(-1, classes, (*lead, classes)))))


def _multilabel_soft_margin(rng: Generator) -> Drawn:
    shape = _lead(rng, 1, 2)
    options = {**_reduction(rng), **_maybe(rng, "weight", shape[-1])}
    return Drawn(options, (5 * rng.standard_normal(shape), rng.uniform(size=shape)))


def _vectors(rng: Generator, count: int) -> tuple[np.ndarray, ...]:
    return tuple(rng.standard_normal((count, *_lead(rng, 1, 1), int(rng.integers(1, 5)))))


def _triplet(rng: Generator) -> Drawn:
    options = {"margin": pick(rng, 1.0, 0.3), "p": pick(rng, 2.0, 1.5, 3.0), "eps": pick(rng, 1e-6, 0.1)}
    return Drawn({**options, "swap": pick(rng, True, False), **_reduction(rng)}, _vectors(rng, 3))


def _triplet_by_distance(rng: Generator) -> Drawn:
    options = {"margin": pick(rng, 1.0, 0.3), "swap": pick(rng, True, False), **_reduction(rng)}
    distance = pick(rng, {}, {"distance_function": lambda x, y: ((x - y) ** 2).sum(-1)})
    return Drawn({**options, **distance}, _vectors(rng, 3))


def _pairwise(rng: Generator) -> Drawn:
    x1, x2 = _vectors(rng, 2)
    options = {"p": pick(rng, 2.0, 1.5, 3.0), "eps": pick(rng, 1e-6, 0.1)}
    return Drawn({**options, "keepdim": pick(rng, True, False)}, (x1, pick(rng, x2, x2[0], np.where(x2 > 0, x1, x2))))


def _cosine(rng: Generator) -> Drawn:
    shape = tuple(map(int, rng.integers(1, 5, 3)))
    x1, x2 = rng.standard_normal((2, *shape))
    return Drawn({"dim": pick(rng, 0, 1, 2, -1), "eps": pick(rng, 1e-8, 1e-3)}, (x1, x2))


def _cdist(rng: Generator) -> Drawn:
    lead, length = _lead(rng, 0, 1), int(rng.integers(1, 5))
    x1, x2 = (rng.standard_normal((*lead, int(n), length)) for n in rng.integers(1, 5, 2))
    x2[..., 0, :] = x1[..., 0, :]
    return Drawn({"p": pick(rng, 1.0, 2.0, 3.0, float("inf"))}, (x1, x2))


def _pdist(rng: Generator) -> Drawn:
    x = rng.standard_normal(tuple(map(int, rng.integers(2, 5, 2))))
    return Drawn({"p": pick(rng, 1.0, 2.0, 3.0, float("inf"))}, (x,))


def _ctc(rng: Generator) -> Drawn:
    times, sequences, classes = (int(rng.integers(*ends)) for ends in ((1, 9), (1, 5), (2, 6)))
    blank = int(rng.integers(classes))
    counts = rng.integers(0, 4, sequences)
    lengths = rng.integers(1, times + 1, sequences)
    options = {"blank": blank, "zero_infinity": True, **_reduction(rng)}
    form = pick(rng, "rows", "one after the other", "single")
    if form == "single":
        sequences, counts, lengths = 1, counts[:1], lengths[:1]
    logits = 2 * rng.standard_normal((times, sequences, classes))
    targets = (blank + rng.integers(1, classes, (sequences, max(1, int(counts.max()))))) % classes
    if form == "one after the other":
        targets = np.concatenate([row[:n] for row, n in zip(targets, counts, strict=True)])
    if form == "single":
        logits, targets = logits[:, 0], targets[0, : counts[0]]
        lengths, counts = lengths[0], counts[0]
    return Drawn(options, (logits, targets, np.asarray(lengths), np.asarray(counts)))


def _ctc_ours(**options):
    loss = nn.CTCLoss(**options)
    return lambda logits, *rest: loss(pb.log_softmax(logits), *rest)


def _ctc_theirs(torch, **options):
    loss = torch.nn.CTCLoss(**options)
    return lambda logits, *rest: loss(torch.log_softmax(logits, -1), *rest)


def _adaptive(rng: Generator) -> Drawn:
    classes = int(rng.integers(4, 12))
    cutoffs = sorted(map(int, rng.choice(np.arange(1, classes), int(rng.integers(1, 4)), replace=False)))
    sizes = {"in_features": int(rng.integers(8, 12)), "n_classes": classes, "cutoffs": cutoffs}
    lead = pick(rng, (), (1,), (6,))
    inputs = rng.standard_normal((*lead, sizes["in_features"])), np.asarray(rng.integers(0, classes, lead))
    return Drawn({**sizes, "div_value": pick(rng, 2.0, 1.5), "head_bias": pick(rng, True, False)}, inputs)


ENTRIES = [
    Entry("MSELoss", _plain, differs=f"{PAIR}; {DEPRECATED}"),
    Entry("L1Loss", _plain, differs=f"{PAIR}; {DEPRECATED}"),
    Entry("SmoothL1Loss", _with("beta", 1.0, 0.3, 1e-3), differs=f"{PAIR}; {DEPRECATED}"),
    Entry("HuberLoss", _with("delta", 1.0, 0.3, 4.0), differs=PAIR),
    Entry("PoissonNLLLoss", _poisson, differs=f"{PAIR}; {DEPRECATED}"),
    Entry("GaussianNLLLoss", _gaussian),
    Entry("BCELoss", _binary, differs=DEPRECATED),
    Entry("BCEWithLogitsLoss", _binary_with_logits, differs=DEPRECATED),
    Entry("SoftMarginLoss", _soft_margin, differs=f"never overflows; {PAIR}; {DEPRECATED}"),
    Entry("MultiLabelSoftMarginLoss", _multilabel_soft_margin, differs=f"{PAIR}; {DEPRECATED}"),
    Entry(
        "CrossEntropyLoss",
        _cross_entropy,
        theirs=_classes_second("CrossEntropyLoss"),
        differs=f"classes last; {DEPRECATED}",
    ),
    Entry(
        "LinearCrossEntropyLoss",
        _linear_cross_entropy,
        theirs=_classes_second("LinearCrossEntropyLoss"),
        differs="probabilities have the classes last; inputs of any number of axes; no `options`: all logits are held "
        "at once, as without them there",
    ),
    Entry(
        "NLLLoss",
        _nll,
        theirs=_classes_second("NLLLoss"),
        second_order=False,
        differs=f"classes last; {DEPRECATED}",
    ),
    Entry(
        "KLDivLoss",
        _kl_div,
        theirs=_kl_div_theirs,
        differs=f'{PAIR}; "mean" does not warn; {DEPRECATED}',
    ),
    Entry("MultiMarginLoss", _multi_margin, second_order=False, differs=f"any number of axes; {DEPRECATED}"),
    Entry("MultiLabelMarginLoss", _multilabel_margin, second_order=False, differs=f"any number of axes; {DEPRECATED}"),
    Entry("MarginRankingLoss", _margin_ranking, differs=f"{PAIR}; {DEPRECATED}"),
    Entry("HingeEmbeddingLoss", _hinge_embedding, differs=f"{PAIR}; {DEPRECATED}"),
    Entry("CosineEmbeddingLoss", _cosine_embedding, differs=f"{PAIR}; {DEPRECATED}"),
    Entry("TripletMarginLoss", _triplet, differs=DEPRECATED),
    Entry("TripletMarginWithDistanceLoss", _triplet_by_distance),
    Entry("PairwiseDistance", _pairwise),
    Entry("CosineSimilarity", _cosine),
    Entry(
        "cdist",
        _cdist,
        second_order=False,
        ours=lambda p: lambda *xs: pb.cdist(*xs, p=p),
        theirs=lambda torch, p: lambda *xs: torch.cdist(*xs, p=p),
    ),
    Entry(
        "pdist",
        _pdist,
        second_order=False,
        ours=lambda p: lambda x: pb.pdist(x, p=p),
        theirs=lambda torch, p: lambda x: torch.pdist(x, p=p),
    ),
    Entry(
        "CTCLoss",
        _ctc,
        ours=_ctc_ours,
        theirs=_ctc_theirs,
        second_order=False,
        differs="the gradient is that by log_probs themselves, where PyTorch's takes them for the result of a "
        "log_softmax and is that by its input: behind a log_softmax both are the same; has second derivatives; "
        "a target that is the blank is refused",
    ),
    Entry(
        "AdaptiveLogSoftmaxWithLoss",
        _adaptive,
        differs="names of functions: pb.adaptive_log_softmax_with_loss, pb.adaptive_log_prob",
    ),
]
