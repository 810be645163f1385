"""Kernels of connectionist temporal classification: one pass over time each way, in place."""

from typing import Any, NamedTuple

from ..host import host as np
from .table import kernel

_NEVER = -1e30
"""The logarithm of 0, as the op has it."""


@kernel("ctc_loss", declines=True)
def _(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int = 0,
    zero_infinity: bool = False,
) -> Any:
    if not _is_valid(log_probs, targets, input_lengths, target_lengths, blank):
        return NotImplemented
    ways = _Ways.of(log_probs, targets, input_lengths, target_lengths, blank)
    likelihood, impossible = ways.likelihood(ways.before()[-1, :, 2:], target_lengths)
    return np.where(impossible, likelihood.dtype.type(0 if zero_infinity else np.inf), -likelihood)


@kernel("ctc_loss.vjp(log_probs)", declines=True)
def _(
    g: Any,
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int,
    zero_infinity: bool,
) -> Any:
    if not _is_valid(log_probs, targets, input_lengths, target_lengths, blank):
        return NotImplemented
    ways = _Ways.of(log_probs, targets, input_lengths, target_lengths, blank)
    before = ways.before()[:, :, 2:]
    likelihood, impossible = ways.likelihood(before[-1], target_lengths)
    by = ways.behind()[:, :, :-2]
    by += before
    by -= np.where(impossible, 0, likelihood)[:, None]
    np.exp(by, out=by)
    over = np.arange(len(by))[:, None] >= input_lengths
    by[over] = 0
    slope = np.zeros(log_probs.shape, dtype=log_probs.dtype)
    slope[:, :, blank] = np.add.reduce(by[:, :, ::2], axis=2)
    rows = np.arange(targets.shape[0])
    for place in range(1, by.shape[2], 2):
        slope[:, rows, ways.labels[:, place]] += by[:, :, place]
    slope *= -g[:, None]
    if not zero_infinity and impossible.any():
        slope[~over & impossible] = np.nan
    return slope


class _Ways(NamedTuple):
    """What both passes need; see the op for what it is."""

    labels: Any
    skip: Any
    emitted: Any
    ends: Any
    times: Any

    @classmethod
    def of(cls, log_probs: Any, targets: Any, times: Any, counts: Any, blank: int) -> "_Ways":
        sequences, most = targets.shape
        labels = np.full((sequences, 2 * most + 1), blank, dtype=np.int64)
        labels[:, 1::2] = np.where(np.arange(most) < counts[:, None], targets, blank)
        skip = np.full(labels.shape, _NEVER, dtype=log_probs.dtype)
        skip[:, 2:][(labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])] = 0
        emitted = np.maximum(log_probs[:, np.arange(sequences)[:, None], labels], log_probs.dtype.type(_NEVER))
        place, last = np.arange(labels.shape[1]), 2 * counts[:, None]
        ends = np.where((place == last) | (place == last - 1), 0, _NEVER).astype(log_probs.dtype)
        return cls(labels, skip, emitted, ends, times)

    def before(self) -> Any:
        """(T, N, 2 + L): all ways that lead to each place, behind two places that no way leads to."""
        length, sequences, places = self.emitted.shape
        ways = np.full((length, sequences, 2 + places), _NEVER, dtype=self.emitted.dtype)
        ways[0, :, 2:4] = self.emitted[0, :, :2]
        add, shortest = _Adder(self.skip), self.times.min()
        for t in range(1, length):
            old, new = ways[t - 1], ways[t, :, 2:]
            add.two_before(old[:, :-2], old[:, 1:-1], old[:, 2:], self.skip, new)
            new += self.emitted[t]
            if t >= shortest:
                np.copyto(new, old[:, 2:], where=(t >= self.times)[:, None])
        return ways

    def behind(self) -> Any:
        """(T, N, L + 2): all ways that lead from each place to an end, before two places that no way comes from."""
        length, sequences, places = self.emitted.shape
        ways = np.full((length, sequences, places + 2), _NEVER, dtype=self.emitted.dtype)
        ways[-1, :, :-2] = self.ends
        later = np.full((sequences, places + 2), _NEVER, dtype=self.emitted.dtype)
        skip = np.full((sequences, places + 2), _NEVER, dtype=self.emitted.dtype)
        skip[:, :-2] = self.skip
        add, shortest = _Adder(self.skip), self.times.min()
        for t in range(length - 1, 0, -1):
            new = ways[t - 1, :, :-2]
            np.add(ways[t, :, :-2], self.emitted[t], out=later[:, :-2])
            add.two_before(later[:, 2:], later[:, 1:-1], later[:, :-2], skip[:, 2:], new)
            if t >= shortest:
                np.copyto(new, self.ends, where=(t >= self.times)[:, None])
        return ways

    def likelihood(self, last: Any, counts: Any) -> tuple[Any, Any]:
        """The log-likelihood of each target, and whether there is no way at all to lay it out."""
        found = np.logaddexp.reduce(last + self.ends, axis=1)
        silent = self.times == 0
        found[silent] = np.where(counts == 0, 0, _NEVER)[silent]
        return found, found < _NEVER / 2


class _Adder:
    """Adds what three ways hold, as logarithms."""

    def __init__(self, like: Any) -> None:
        self.most, self.part, self.far = np.empty_like(like), np.empty_like(like), np.empty_like(like)

    def two_before(self, far: Any, near: Any, own: Any, skip: Any, out: Any) -> None:
        """The logarithm of exp(far + skip) + exp(near) + exp(own)."""
        most, part = self.most, self.part
        far = np.add(far, skip, out=self.far)
        np.maximum(near, own, out=most)
        np.maximum(most, far, out=most)
        np.exp(np.subtract(own, most, out=out), out=out)
        out += np.exp(np.subtract(near, most, out=part), out=part)
        out += np.exp(np.subtract(far, most, out=part), out=part)
        np.log(out, out=out)
        out += most


def _is_valid(log_probs: Any, targets: Any, times: Any, counts: Any, blank: int) -> bool:
    """Whether nothing is there to complain about, which the op's own lines do."""
    length, sequences, classes = log_probs.shape
    if length == 0 or sequences == 0 or log_probs.dtype.kind != "f":
        return False
    if times.min() < 0 or times.max() > length or counts.min() < 0 or counts.max() > targets.shape[1]:
        return False
    met = targets[np.arange(targets.shape[1]) < counts[:, None]]
    return bool(met.size == 0 or (met.min() >= 0 and met.max() < classes and not (met == blank).any()))
