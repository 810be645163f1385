"""How well scores rank those of a class before all others, whatever the threshold: ROC-AUC and average precision."""

from math import nan
from typing import Any, Literal

from ...backends import Array
from ...backends.host import host
from .arrays import as_array, check_kin, check_width, check_within, measured, numbers, scored, whole

__all__ = ["ROCAUC", "AveragePrecision", "average_precision", "roc_auc"]


class _Ranking:
    """All scores and targets, kept on the host until `compute`, which sorts them: exact, also batch by batch."""

    name: str

    def __init__(self, average: Literal["macro", "weighted"] | None = "macro", *, logits: bool = False) -> None:
        if average not in ("macro", "weighted", None):
            raise ValueError(f"average is 'macro', 'weighted' or None; got {average!r}")
        self.average, self.logits = average, logits
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._scores: list[Array] = []
        self._targets: list[Array] = []

    def update(self, prediction: Any, target: Any) -> None:
        """Keep a batch."""
        scores = numbers(prediction)
        if scores.shape == tuple(as_array(target).shape):
            rows, true = scores.reshape(-1, 1), whole(target)
        else:
            rows, true = scored(self.name, prediction, target)
        if not host.isfinite(rows).all():
            raise ValueError(f"{self.name} ranks numbers; found scores that are infinite or NaN")
        if rows.shape[1] > 1:
            rows = self._comparable(rows)
        check_within(self.name, true, max(rows.shape[1], 2))
        self._keep([rows], [true])

    def _keep(self, scores: list[Array], targets: list[Array]) -> None:
        if self._scores and scores:
            check_width(self.name, self._scores[0].shape[1], scores[0].shape[1])
        self._scores += scores
        self._targets += targets

    def _comparable(self, rows: Array) -> Array:
        """Scores that may be compared among samples; of two classes those of the second."""
        if self.logits:
            rows = _log_odds(rows)
        elif not host.allclose(rows.sum(axis=1), 1, atol=1e-3):
            raise ValueError(
                f"{self.name} of several classes takes probabilities, which sum to 1; for logits make it with "
                "logits=True"
            )
        return rows[:, 1:] if rows.shape[1] == 2 else rows

    def merge(self, other: Any) -> None:
        """Take in what another one, of another process, has kept."""
        check_kin(self, other)
        self._keep(other._scores, other._targets)

    def compute(self) -> Any:
        """The measure so far: a number, or with average None and three classes or more a host array (C,)."""
        if not self._scores:
            return nan
        scores, target = host.concatenate(self._scores), host.concatenate(self._targets)
        if scores.shape[1] == 1:
            return float(self._of(scores[:, 0], target == 1))
        each = host.asarray([self._of(column, target == i) for i, column in enumerate(scores.T)])
        if self.average is None:
            return each
        if self.average == "macro":
            return float(each.mean())
        return float(each @ host.bincount(target, minlength=len(each)) / max(target.size, 1))

    def _of(self, scores: Array, positive: Array) -> float:
        raise NotImplementedError


def _log_odds(rows: Array) -> Array:
    """Of logits (N, C) each less the log-sum-exp of all others: grows with softmax, and is never rounded to 1."""
    rows = rows - rows.max(axis=1, keepdims=True)
    best = rows.argmax(axis=1)[:, None]
    others = rows.copy()
    host.put_along_axis(others, best, -host.inf, axis=1)
    # The best, which is 0, is held against the sum of the others alone; for any other, the sum less its own part
    # has the best's, which is 1, and so does not cancel.
    odds: Array = rows - host.log(host.exp(rows).sum(axis=1, keepdims=True) - host.exp(others))
    most = others.max(axis=1, keepdims=True)
    host.put_along_axis(odds, best, -most - host.log(host.exp(others - most).sum(axis=1, keepdims=True)), axis=1)
    return odds


class ROCAUC(_Ranking):
    """The probability that one of a class is scored above one of another, a tie counting half.

    It is the area under the receiver operating characteristic (Hanley and McNeil, 1982), from 0 to 1; 0.5 is chance.
    NaN where one of the two is missing.
    Takes one score for each target of 0 or 1; or probabilities (N, ..., C) against classes (N, ...), and of more than
    two classes each is held against the rest.
    average: "macro", the mean over the classes; "weighted" by how often each is true; None gives a host array (C,).
    logits: whether scores of several classes are logits. They are ranked as their softmax would be, by the
        log-odds, which tell apart even what softmax rounds to 1.
    All scores are kept on the host, so that batch by batch is exact.
    Raises ValueError for scores that are not finite, and for several that do not sum to 1.

    >>> metric = ROCAUC()
    >>> metric.update([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> metric.compute()
    0.75
    """

    name = "roc_auc"

    def _of(self, scores: Array, positive: Array) -> float:
        count = int(positive.sum())
        if count in (0, positive.size):
            return nan
        _, place, tied = host.unique(scores, return_inverse=True, return_counts=True)
        rank = (host.cumsum(tied) - (tied - 1) / 2)[place]  # of those that tie, the mean
        above = rank[positive].sum() - count * (count + 1) / 2
        return float(above / (count * (positive.size - count)))


class AveragePrecision(_Ranking):
    """The mean of the precision over the recall: at each score as threshold, weighted by the recall that it adds.

    NaN where none is of the class. The arguments and inputs are those of `ROCAUC`.

    >>> metric = AveragePrecision()
    >>> metric.update([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> round(metric.compute(), 4)
    0.8333
    """

    name = "average_precision"

    def _of(self, scores: Array, positive: Array) -> float:
        count = int(positive.sum())
        if not count:
            return nan
        order = host.argsort(-scores, kind="stable")
        right = host.cumsum(positive[order])
        ends = host.append(host.nonzero(host.diff(scores[order]))[0], scores.size - 1)  # the last of those that tie
        precision = right[ends] / (ends + 1)
        return float((host.diff(right[ends], prepend=0) / count) @ precision)


def roc_auc(
    prediction: Any,
    target: Any,
    *,
    average: Literal["macro", "weighted"] | None = "macro",
    logits: bool = False,
) -> Any:
    """The probability that one of a class is scored above one of another; see `ROCAUC`.

    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    return measured(ROCAUC(average, logits=logits), prediction, target)


def average_precision(
    prediction: Any,
    target: Any,
    *,
    average: Literal["macro", "weighted"] | None = "macro",
    logits: bool = False,
) -> Any:
    """The mean of the precision over the recall; see `AveragePrecision`.

    >>> average_precision([0.1, 0.4, 0.8], [0, 1, 1])
    1.0
    """
    return measured(AveragePrecision(average, logits=logits), prediction, target)
