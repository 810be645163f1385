"""What the parity table cannot say of attention and Transformers: caches, groups, positions, first values, errors."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn


def test_decoding_with_a_cache_gives_what_the_whole_sequence_gives():
    for options in ({}, {"num_key_value_heads": 2}, {"rotary": nn.RotaryEmbedding(4)}, {"batch_first": True}):
        attention = nn.MultiheadAttention(16, 4, **options)
        x = pb.random.normal((6, 3, 16))
        first = options.get("batch_first", False)
        axis = 1 if first else 0
        whole = pb.moveaxis(x, 0, 1) if first else x
        expected, weights = attention(whole, whole, whole, is_causal=True)
        cache = nn.KeyValueCache()
        parts = []
        for start, stop in ((0, 2), (2, 3), (3, 6)):
            part = whole[:, start:stop] if first else whole[start:stop]
            y, own = attention(part, part, part, is_causal=True, need_weights=stop == 6, cache=cache)
            parts.append(y)
        np.testing.assert_allclose(pb.concat(parts, axis=axis).numpy(), expected.numpy(), atol=2e-6)
        np.testing.assert_allclose(own.numpy(), weights.numpy()[:, 3:], atol=2e-6)
        assert cache.length == 6
        cache.clear()
        assert cache.length == 0


@pytest.mark.parametrize("norm_first", [True, False])
def test_stacks_decode_with_a_cache_for_each_layer(norm_first):
    sizes = {"d_model": 8, "nhead": 2, "dim_feedforward": 8, "batch_first": True, "norm_first": norm_first}
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**sizes), 2).eval()
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(**sizes), 2).eval()
    x, memory = pb.random.normal((2, 5, 8)), pb.random.normal((2, 3, 8))
    runs = {
        "decoder": lambda x, **more: decoder(x, memory, tgt_is_causal=True, **more),
        "encoder": lambda x, **more: encoder(x, is_causal=True, **more),
    }
    for run in runs.values():
        caches = [nn.KeyValueCache() for _ in range(2)]
        parts = [run(x[:, i : i + 1], caches=caches) for i in range(5)]
        np.testing.assert_allclose(pb.concat(parts, axis=1).numpy(), run(x).numpy(), atol=5e-6)
    with pytest.raises(ValueError, match="one cache for each of 2 layers"):
        encoder(x, caches=[nn.KeyValueCache()])


def test_grouped_queries_are_heads_whose_keys_and_values_are_repeated():
    x = pb.random.normal((5, 2, 12))
    for kdim in (None, 12, 7):
        grouped = nn.MultiheadAttention(12, 6, num_key_value_heads=2, kdim=kdim, vdim=kdim)
        plain = nn.MultiheadAttention(12, 6, kdim=kdim, vdim=kdim)
        other = x if kdim != 7 else pb.random.normal((4, 2, 7))

        def spread(rows):
            parts = np.split(rows.numpy(), [12, 16])
            return np.concatenate(
                [parts[0], *(np.repeat(p.reshape(2, 2, -1), 3, 0).reshape(12, -1) for p in parts[1:])]
            )

        state = grouped.state_dict()
        if kdim == 7:
            for name in ("k_proj_weight", "v_proj_weight"):
                state[name] = np.repeat(state[name].numpy().reshape(2, 2, -1), 3, 0).reshape(12, -1)
        else:
            state["in_proj_weight"] = spread(state["in_proj_weight"])
        state["in_proj_bias"] = spread(state["in_proj_bias"].reshape((-1, 1)))[:, 0]
        plain.load_state_dict(state)
        for needed in (True, False):
            got, weights = grouped(x, other, other, need_weights=needed)
            expected, others = plain(x, other, other, need_weights=needed)
            np.testing.assert_allclose(got.numpy(), expected.numpy(), atol=2e-6)
            assert (weights is None) == (others is None) == (not needed)


def test_causal_attention_is_that_of_the_square_mask():
    x = pb.random.normal((5, 2, 8))
    attention = nn.MultiheadAttention(8, 2)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    for needed in (True, False):
        expected, _ = attention(x, x, x, attn_mask=mask, need_weights=needed)
        for options in ({}, {"attn_mask": mask}):
            got, _ = attention(x, x, x, is_causal=True, need_weights=needed, **options)
            np.testing.assert_allclose(got.numpy(), expected.numpy(), atol=1e-6)


def test_a_bias_of_each_head_is_a_mask():
    x = pb.random.normal((2, 5, 8))
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    results = []
    for mask in (pb.alibi_bias(2, 5), pb.tile(pb.alibi_bias(2, 5, 5), (2, 1, 1))):
        results += [attention(x, x, x, attn_mask=mask, is_causal=True, need_weights=n)[0] for n in (True, False)]
    for got in results[1:]:
        np.testing.assert_allclose(got.numpy(), results[0].numpy(), atol=1e-6)


def test_first_values_are_pytorchs():
    attention = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    weight = attention.in_proj_weight.numpy()
    bound = np.sqrt(6 / (64 + 3 * 64))
    assert np.abs(weight).max() <= bound
    assert abs(weight.std() - bound / np.sqrt(3)) < 0.02 * bound
    assert not attention.in_proj_bias.numpy().any()
    assert not attention.out_proj.bias.numpy().any()
    assert 0.6 / 8 < attention.bias_k.numpy().std() < 1.4 / 8  # sqrt(1 / 64)
    model = nn.Transformer(32, 4, 1, 1, dim_feedforward=48)
    linear = model.encoder.layers[0].linear1.weight.numpy()
    assert np.abs(linear).max() > np.sqrt(1 / 32)  # further than a Linear alone would go
    assert np.abs(linear).max() <= np.sqrt(6 / (32 + 48))


def test_dropout_of_weights_is_for_training_only():
    x = pb.random.normal((2, 6, 8))
    attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
    _, weights = attention(x, x, x, average_attn_weights=False)
    zeros = np.mean(weights.numpy() == 0)
    assert 0.25 < zeros < 0.75
    runs = [attention(x, x, x, need_weights=False)[0].numpy() for _ in range(2)]
    assert np.abs(runs[0] - runs[1]).max() > 1e-3
    runs = [attention.eval()(x, x, x, need_weights=n)[0].numpy() for n in (True, False)]
    np.testing.assert_allclose(*runs, atol=1e-6)


def test_layers_of_a_stack_begin_alike_and_learn_apart():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, activation="gelu", dropout=0.0), 2)
    first, second = (layer.linear1.weight for layer in encoder.layers)
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    encoder(pb.random.normal((3, 2, 8))).sum().backward()
    assert np.abs(first.grad.numpy() - second.grad.numpy()).max() > 0


def test_an_activation_may_be_a_function_or_a_module():
    x = pb.random.normal((3, 2, 8))
    layers = [nn.TransformerEncoderLayer(8, 2, 8, 0.0, activation=a) for a in ("gelu", pb.gelu, nn.GELU())]
    for layer in layers[1:]:
        layer.load_state_dict(layers[0].state_dict())
        np.testing.assert_array_equal(layer(x).numpy(), layers[0](x).numpy())
        stack = nn.TransformerEncoder(layer, 1)
        np.testing.assert_array_equal(stack(x).numpy(), layers[0](x).numpy())


def test_positions_are_added_to_either_layout():
    x = pb.random.normal((4, 3, 6))
    waves = pb.sinusoidal_positions(4, 6, start=2).numpy()
    got = nn.PositionalEncoding(6)(x, start=2)
    np.testing.assert_allclose(got.numpy(), x.numpy() + waves[:, None], rtol=1e-6)
    swapped = nn.PositionalEncoding(6, batch_first=True)(pb.moveaxis(x, 0, 1), start=2)
    np.testing.assert_allclose(pb.moveaxis(swapped, 0, 1).numpy(), got.numpy())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.MultiheadAttention(10, 3), "multiple of num_heads"),
        (lambda: nn.MultiheadAttention(12, 4, num_key_value_heads=3), "multiple of num_key_value_heads"),
        (lambda: nn.RotaryEmbedding(3), "even"),
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="selu"), "'relu', 'gelu' or a function"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("first", [True, False])
def test_a_batch_of_one_is_not_repeated(first):
    attention = nn.MultiheadAttention(8, 2, batch_first=first)
    x, one = (pb.zeros((n, 4, 8) if first else (4, n, 8)) for n in (3, 1))
    for inputs in ((x, one, one), (one, x, x)):
        with pytest.raises(ValueError, match="with one N, of 8, 8 and 8 features; got"):
            attention(*inputs)


@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("held", [0, 2])
def test_masks_that_do_not_fit_are_refused(held, needed):
    attention, x = nn.MultiheadAttention(8, 2), pb.zeros((4, 3, 8))

    def run(**masks):
        cache = nn.KeyValueCache() if held else None
        if cache is not None:
            attention(*[pb.zeros((held, 3, 8))] * 3, cache=cache)
        return attention(x, x, x, need_weights=needed, cache=cache, **masks)

    s = 4 + held
    for shape in ((4, s), (1, s), (6, 4, s), (2, 1, s)):
        run(attn_mask=pb.zeros(shape))
    for shape in ((5, s), (4, s + 1), (s,), (4, 4, s), (12, 4, s), (6, 3, s), (6, 4, 1), (1, 6, 4, s)):
        with pytest.raises(ValueError, match=rf"attn_mask is of shape \(4, {s}\) or \(6, 4, {s}\) here; got \("):
            run(attn_mask=pb.zeros(shape))
    run(key_padding_mask=pb.zeros((3, s)))
    for shape in ((2, s), (1, s), (3, s + 1), (s,)):
        with pytest.raises(ValueError, match=rf"key_padding_mask is of shape \(3, {s}\) here; got \("):
            run(key_padding_mask=pb.zeros(shape))


def test_a_cache_of_other_sequences_is_refused():
    attention, cache = nn.MultiheadAttention(8, 2), nn.KeyValueCache()
    attention(*[pb.zeros((2, 3, 8))] * 3, cache=cache)
    with pytest.raises(ValueError, match=r"a cache of keys \(3, 2, 2, 4\) takes more of the same sequences; got"):
        attention(*[pb.zeros((1, 5, 8))] * 3, cache=cache)


def test_inputs_that_do_not_fit_are_refused():
    attention, x = nn.MultiheadAttention(8, 2), pb.zeros((4, 3, 8))
    with pytest.raises(ValueError, match="takes query, key and value"):
        attention(x, pb.zeros((4, 3, 7)), x)
    with pytest.raises(ValueError, match="key_padding_mask is"):
        attention(x, x, x, pb.zeros(4) > 0)
    with pytest.raises(ValueError, match="attn_mask is"):
        attention(x, x, x, attn_mask=pb.zeros((3, 4, 4)))
    with pytest.raises(TypeError, match="takes an array; got list"):
        attention([1.0], x, x)
    with pytest.raises(ValueError, match="pass attn_mask"):
        nn.MultiheadAttention(8, 2, add_zero_attn=True)(x, x, x, is_causal=True)
