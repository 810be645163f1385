"""Entries of the Transformer and its parts; with dropout in evaluation, without it in training too."""

import warnings

import numpy as np

from pullback import nn

from .attention import plainly
from .entry import Drawn, Entry, Generator, pick


def _sizes(rng: Generator, layers: tuple[str, ...] = ()) -> dict:
    heads = int(rng.integers(1, 4))
    return {
        "d_model": heads * int(rng.integers(1, 4)) + 3 * heads,
        "nhead": heads,
        "dim_feedforward": int(rng.integers(1, 7)),
        "dropout": 0.0,
        "activation": pick(rng, "relu", "gelu"),
        "layer_norm_eps": pick(rng, 1e-5, 1e-3),
        "batch_first": pick(rng, True, False),
        "norm_first": pick(rng, True, False),
        "bias": pick(rng, True, False),
        **{name: int(rng.integers(1, 3)) for name in layers},
    }


def _sequence(rng: Generator, options: dict, batch: int | None, length: int) -> np.ndarray:
    lead = (length,) if batch is None else (batch, length) if options["batch_first"] else (length, batch)
    return rng.standard_normal((*lead, options["d_model"]))


def _mask(rng: Generator, options: dict, batch: int | None, queries: int, keys: int) -> np.ndarray | None:
    """None, or a mask that lets each query attend to the first key at least."""
    heads = (batch or 1) * options["nhead"]
    barred = rng.random(pick(rng, (queries, keys), (heads, queries, keys))) < 0.4
    barred[..., 0] = False
    return pick(rng, None, barred, rng.standard_normal((queries, keys)))


def _padding(rng: Generator, batch: int | None, keys: int, mask: np.ndarray | None) -> np.ndarray | None:
    """None, or a mask of the same kind as the other."""
    shape = (keys,) if batch is None else (batch, keys)
    if mask is not None and mask.dtype != bool:
        return pick(rng, None, rng.standard_normal(shape))
    barred = rng.random(shape) < 0.4
    barred[..., 0] = False
    return pick(rng, None, barred if mask is None or not mask.any() else None)


def _lengths(rng: Generator) -> tuple[int | None, int, int]:
    return pick(rng, None, 1, 2, 3), int(rng.integers(1, 5)), int(rng.integers(1, 5))


def _encoder_layer(rng: Generator) -> Drawn:
    options = _sizes(rng)
    batch, length, _ = _lengths(rng)
    mask = _mask(rng, options, batch, length, length)
    inputs = (_sequence(rng, options, batch, length), mask, _padding(rng, batch, length, mask))
    return Drawn(options, inputs)


def _decoder_layer(rng: Generator) -> Drawn:
    options = _sizes(rng)
    batch, length, other = _lengths(rng)
    masks = _mask(rng, options, batch, length, length), _mask(rng, options, batch, length, other)
    paddings = _padding(rng, batch, length, masks[0]), _padding(rng, batch, other, masks[1])
    sequences = _sequence(rng, options, batch, length), _sequence(rng, options, batch, other)
    return Drawn(options, (*sequences, *masks, *paddings))


def _transformer(rng: Generator) -> Drawn:
    options = _sizes(rng, ("num_encoder_layers", "num_decoder_layers"))
    batch, source, target = _lengths(rng)
    masks = (
        _mask(rng, options, batch, source, source),
        _mask(rng, options, batch, target, target),
        _mask(rng, options, batch, target, source),
    )
    paddings = [_padding(rng, batch, n, m) for n, m in zip((source, target, source), masks, strict=True)]
    sequences = _sequence(rng, options, batch, source), _sequence(rng, options, batch, target)
    return Drawn(options, (*sequences, *masks, *paddings))


def _encoder(rng: Generator) -> Drawn:
    drawn = _encoder_layer(rng)
    return Drawn({**drawn.options, "num_layers": 2, "norm": pick(rng, True, False)}, drawn.inputs)


def _decoder(rng: Generator) -> Drawn:
    drawn = _decoder_layer(rng)
    return Drawn({**drawn.options, "num_layers": 2, "norm": pick(rng, True, False)}, drawn.inputs)


def _stack(layers, kind: str, num_layers: int, norm: bool, **options):
    layer = getattr(layers, f"{kind}Layer")(**options)
    more = {"enable_nested_tensor": False} if kind.endswith("Encoder") else {}
    return getattr(layers, kind)(layer, num_layers, layers.LayerNorm(options["d_model"]) if norm else None, **more)


def _stacked(kind: str, draw, differs: str) -> Entry:
    return Entry(
        kind,
        draw,
        ours=lambda **options: _stack(nn, kind, **options),
        theirs=lambda torch, **options: plainly(torch, _stack(torch.nn, kind, **options)),
        differs=differs,
    )


def _whole(kind: str, draw, differs: str) -> Entry:
    def theirs(torch, **options):
        with warnings.catch_warnings():  # of a fast path that is not taken
            warnings.simplefilter("ignore")
            return plainly(torch, getattr(torch.nn, kind)(**options))

    return Entry(kind, draw, theirs=theirs, differs=differs)


ENTRIES = [
    _whole("TransformerEncoderLayer", _encoder_layer, "is_causal needs no mask; cache is an addition"),
    _whole("TransformerDecoderLayer", _decoder_layer, "tgt_is_causal needs no mask; cache is an addition"),
    _stacked("TransformerEncoder", _encoder, "is_causal is not found out from a mask; caches is an addition"),
    _stacked("TransformerDecoder", _decoder, "tgt_is_causal is not found out from a mask; caches is an addition"),
    _whole("Transformer", _transformer, "src_is_causal and tgt_is_causal are not found out from masks"),
]
