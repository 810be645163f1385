"""Entries of embeddings."""

from typing import Any

import numpy as np

from .entry import Drawn, Entry, Generator, pick


def _table(rng: Generator) -> dict[str, Any]:
    count = int(rng.integers(2, 8))
    return {
        "num_embeddings": count,
        "embedding_dim": int(rng.integers(1, 5)),
        "padding_idx": pick(rng, None, 0, int(rng.integers(-count, count))),
        "max_norm": pick(rng, None, None, 0.8),
        "norm_type": pick(rng, 2.0, 1.0, 3.5, float("inf")),
    }


def _embedding(rng: Generator) -> Drawn:
    options = {**_table(rng), "scale_grad_by_freq": pick(rng, True, False)}
    shape = tuple(map(int, rng.integers(1, 5, rng.integers(0, 4))))
    return Drawn(options, (np.asarray(rng.integers(0, options["num_embeddings"], shape)),))


def _embedding_bag(rng: Generator) -> Drawn:
    options = {**_table(rng), "mode": pick(rng, "sum", "mean", "max")}
    if options["mode"] == "max" and options["norm_type"] == float("inf"):
        options["max_norm"] = (
            None  # rows cut to one largest element tie for the maximum, which shares its gradient here
        )
    bags, count = int(rng.integers(1, 5)), options["num_embeddings"]
    if pick(rng, True, False):
        indices, offsets = rng.integers(0, count, (bags, int(rng.integers(1, 6)))), None
    else:
        options["include_last_offset"] = pick(rng, True, False)
        lengths = rng.integers(0, 4, bags)
        ends = np.cumsum(lengths)
        indices = rng.integers(0, count, ends[-1])
        offsets = np.concatenate([[0], ends if options["include_last_offset"] else ends[:-1]])
    weights = rng.standard_normal(indices.shape) if options["mode"] == "sum" and pick(rng, True, False) else None
    return Drawn(options, (indices, offsets, weights))


_SPARSE = "sparse=True is refused: there are no sparse gradients"

ENTRIES = [
    Entry("Embedding", _embedding, differs=_SPARSE),
    # scale_grad_by_freq is compared with its definition in tests/nn/test_embedding.py.
    Entry(
        "EmbeddingBag",
        _embedding_bag,
        second_order=False,
        differs=_SPARSE
        + "; what comes behind the last of the offsets with include_last_offset is in no bag, where PyTorch takes it "
        "for a maximum, and counts it for a mean; equal maxima share their gradient; scale_grad_by_freq divides by how "
        "often the row itself is named, PyTorch's on the CPU by how often the i-th of all sorted indices is",
    ),
]
