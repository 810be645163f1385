"""Entries of attention: the function, the layer of several heads."""

import pullback as pb

from .entry import Drawn, Entry, Generator, pick


def plainly(torch, theirs):
    """PyTorch's module or function, run by its plain lines: of its faster ones there are no second derivatives."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    forward = theirs.forward if isinstance(theirs, torch.nn.Module) else theirs

    def run(*inputs):
        with sdpa_kernel(SDPBackend.MATH):
            return forward(*inputs)

    if not isinstance(theirs, torch.nn.Module):
        return run
    theirs.forward = run
    return theirs


def _sizes(rng: Generator, count: int, most: int = 6) -> list[int]:
    return [int(n) for n in rng.integers(1, most, count)]


def _attention(rng: Generator) -> Drawn:
    batch, heads, queries, keys, width, features = _sizes(rng, 6)
    groups = int(rng.integers(1, 4))
    kind = pick(rng, "none", "causal", "boolean", "float", "rows", "heads")
    shapes = {
        "boolean": (batch, 1, queries, keys),
        "float": (queries, keys),
        "rows": (batch, 1, 1, keys),
        "heads": (1, heads * groups, queries, 1),
    }
    mask = rng.standard_normal(shapes[kind]) if kind in shapes else None
    options = {"is_causal": kind == "causal", "enable_gqa": groups > 1, "scale": pick(rng, None, 0.3)}
    query = rng.standard_normal((batch, heads * groups, queries, width))
    key = rng.standard_normal((batch, heads, keys, width))
    value = rng.standard_normal((batch, heads, keys, features))
    return Drawn(options, (query, key, value, mask < 0.5 if kind == "boolean" else mask))


def _theirs(torch, **options):
    return plainly(torch, lambda *inputs: torch.nn.functional.scaled_dot_product_attention(*inputs, **options))


def _multihead(rng: Generator) -> Drawn:
    heads, width, batch, queries, keys = _sizes(rng, 5, 5)
    embed = heads * width
    kind = pick(rng, "self", "cross", "each", "kdim")
    kdim, vdim = _sizes(rng, 2) if kind == "kdim" else (None, None)
    keys = queries if kind == "self" else keys
    first, batched = pick(rng, True, False), pick(rng, True, True, False)
    options = {
        "embed_dim": embed,
        "num_heads": heads,
        "bias": pick(rng, True, False),
        "add_bias_kv": pick(rng, True, False),
        "add_zero_attn": pick(rng, True, False),
        "kdim": kdim,
        "vdim": vdim,
        "batch_first": first,
        "dropout": 0.5,
    }

    def sequence(length: int, features: int):
        lead = (length,) if not batched else (batch, length) if first else (length, batch)
        return rng.standard_normal((*lead, features))

    query = sequence(queries, embed)
    key = query if kind == "self" else sequence(keys, kdim or embed)
    value = key if kind in ("self", "cross") else sequence(keys, vdim or embed)
    # The first key always takes part: where none does, PyTorch's weights are not a number.
    padding = rng.standard_normal((batch, keys) if batched else (keys,))
    barred = padding > 0.5
    barred[..., 0] = False
    padding = pick(rng, None, padding, barred)
    mask = rng.standard_normal(pick(rng, (queries, keys), ((batch if batched else 1) * heads, queries, keys)))
    barred = mask > 0.7
    barred[..., 0] = False
    mask = pick(rng, None, mask, barred)
    if padding is not None and mask is not None and padding.dtype != mask.dtype:
        padding = None  # PyTorch warns of masks of two kinds
    return Drawn(options, (query, key, value, padding, pick(rng, True, False), mask, pick(rng, True, False)))


ENTRIES = [
    Entry(
        "scaled_dot_product_attention",
        _attention,
        ours=lambda **options: lambda *inputs: pb.scaled_dot_product_attention(*inputs, **options),
        theirs=_theirs,
        differs="attn_mask and is_causal may be given together, and both hold then; "
        "query_start (how many keys came before the first query) and generator (of dropout) are additions",
    ),
    Entry(
        "MultiheadAttention",
        _multihead,
        theirs=lambda torch, **options: plainly(torch, torch.nn.MultiheadAttention(**options)),
        training=(False,),
        differs="a query that may attend to nothing gets weights of 0 also with need_weights; is_causal needs no mask; "
        "attn_mask may be (num_heads, L, S) too, for all samples alike; "
        "cache, num_key_value_heads and rotary are additions",
    ),
]
