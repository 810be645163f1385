"""The model zoo: shapes, refusals, and what each promises beyond a forward."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import pullback as pb
from pullback import models, nn, optim

IMAGE = {"image_size": 8, "in_channels": 1}
SMALL = {
    "MLP": lambda: (models.MLP((16, 8, 3)), (4, 16), (4, 3)),
    "LeNet": lambda: (models.LeNet(), (2, 28, 28, 1), (2, 10)),
    "LeNet, small images": lambda: (models.LeNet(5, 3, image_size=8), (2, 8, 8, 3), (2, 5)),
    "cifar_resnet": lambda: (models.cifar_resnet(8, classes=4), (2, 16, 16, 3), (2, 4)),
    "ResNet": lambda: (models.ResNet(models.Bottleneck, (1, 1), classes=6, width=4), (2, 32, 32, 3), (2, 6)),
    "Autoencoder": lambda: (models.Autoencoder((4, 4, 1), 2, (8,)), (3, 4, 4, 1), (3, 4, 4, 1)),
    "Generator": lambda: (models.Generator(5, 2, 4, image_size=16), (3, 5), (3, 16, 16, 2)),
    "Discriminator": lambda: (models.Discriminator(2, 4, image_size=16), (3, 16, 16, 2), (3,)),
    "ViT": lambda: (
        models.ViT(patch_size=4, layers=1, heads=2, hidden_dim=8, mlp_dim=16, classes=3, **IMAGE),
        (2, 8, 8, 1),
        (2, 3),
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_learns(name, place):
    model, shape, expected = SMALL[name]()
    y = model(pb.random.normal(shape))
    assert y.shape == expected
    (y * pb.random.normal(expected)).sum().backward()
    for parameter, value in model.named_parameters():
        assert value.grad is not None, parameter
        # ViT's head begins with zeros, which let no gradient through to what is before it.
        assert name == "ViT" or bool(pb.any(value.grad != 0)), parameter


def tokens(*shape):
    return pb.zeros(shape, dtype="int64")


LIVES = {name: lambda make=make: (make()[0], pb.random.normal(make()[1])) for name, make in SMALL.items()} | {
    "VAE": lambda: (models.VAE((4, 4, 1), 2, (8,)), pb.random.normal((3, 4, 4, 1))),
    "CharRNN": lambda: (models.CharRNN(7, 4, dropout=0.1), tokens(2, 3)),
    "GPT": lambda: (models.GPT(7, 8, 1, 2, 8, dropout=0.1), tokens(2, 3)),
    "Bert": lambda: (models.Bert(7, 8, 1, 2, 16, 4), tokens(2, 3)),
}


@pytest.mark.parametrize("name", LIVES)
def test_a_model_is_trained_kept_and_copied(name):
    model, x = LIVES[name]()

    def output(model):
        y = model(x)
        return y[0] if isinstance(y, tuple) else y

    rule = optim.SGD(model.parameters(), lr=0.01)
    (output(model) ** 2).mean().backward()
    rule.step()
    expected = output(model.eval()).numpy()
    other = LIVES[name]()[0]
    other.load_state_dict(model.state_dict())
    copies = other.eval(), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
    for twin in copies:
        np.testing.assert_array_equal(output(twin).numpy(), expected)
        assert [key for key, _ in twin.named_parameters()] == [key for key, _ in model.named_parameters()]
    for twin in copies:  # which share nothing with the model
        for parameter in twin.parameters():
            nn.init.zeros_(parameter)
    np.testing.assert_array_equal(output(model).numpy(), expected)


@pytest.mark.parametrize(("make", "layers", "count"), [
    (models.resnet18, (2, 2, 2, 2), 11_689_512),
    (models.resnet34, (3, 4, 6, 3), 21_797_672),
    (models.resnet50, (3, 4, 6, 3), 25_557_032),
    (lambda: models.cifar_resnet(20), (3, 3, 3), 272_474),
    (lambda: models.cifar_resnet(110), (18, 18, 18), 1_730_714),
])  # fmt: skip
def test_residual_networks_are_as_large_as_published(make, layers, count):
    model = make()
    assert model.parameter_count() == count
    assert tuple(len(getattr(model, f"layer{i + 1}")) for i in range(len(layers))) == layers


@pytest.mark.parametrize(("make", "complaint"), [
    (lambda: models.MLP((3,)), r"sizes for its input and its output at least; got \(3,\)"),
    (lambda: models.LeNet(image_size=3), "4 pixels or more in height and width; got 3"),
    (lambda: models.cifar_resnet(9), r"6 n \+ 2 layers: 8, 14, 20, ...; got 9"),
    (lambda: models.ResNet(models.BasicBlock, (1,), stem="mnist"), "'imagenet' or 'cifar'; got 'mnist'"),
    (lambda: models.Generator(image_size=28), "a side of 8, 16, 32, ...; got 28"),
    (lambda: models.CharRNN(5, cell="elman"), "one of rnn, lstm, gru; got 'elman'"),
    (lambda: models.ViT(image_size=10, patch_size=4), "patches of 4 pixels do not fill images of 10"),
    (lambda: models.GPT(5, 8, 1, 3, 8), "a width of 8 is not shared out evenly among 3 heads"),
    (lambda: models.GPT(5, 4, 1, 1, 8)(pb.zeros((1, 5), dtype="int64")), "texts of up to 4 tokens; got 5"),
    (lambda: models.Bert(5, 8, 1, 3), "a width of 8 is not shared out evenly among 3 heads"),
    (lambda: models.cifar_resnet(0), r"6 n \+ 2 layers: 8, 14, 20, ...; got 0"),
    (lambda: models.ResNet(models.BasicBlock, (1, 0)), "ResNet: layers is a whole number of 1 or more; got 0"),
    (lambda: models.Autoencoder((4, 4), 0), "Autoencoder: latent is a whole number of 1 or more; got 0"),
    (lambda: models.Generator(image_size=12), "a side of 8, 16, 32, ...; got 12"),
    (lambda: models.ViT(patch_size=0), "ViT: patch_size is a whole number of 1 or more; got 0"),
    (lambda: models.GPT(n_head=0), "GPT: n_head is a whole number of 1 or more; got 0"),
    (lambda: models.Bert(num_hidden_layers=-1), "Bert: num_hidden_layers is a whole number of 0 or more; got -1"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


@pytest.mark.parametrize(("make", "complaint"), [
    (lambda: models.cifar_resnet(20.0), "cifar_resnet: depth is a whole number; got 20.0"),
    (lambda: models.ViT(image_size=8.0), "ViT: image_size is a whole number"),
    (lambda: models.GPT(n_layer=2.0), "GPT: n_layer is a whole number"),
    (lambda: models.LeNet(image_size=(28, 28)), "LeNet: image_size is a whole number"),
    (lambda: models.Discriminator(image_size=16.0), "DCGAN: image_size is a whole number"),
    (lambda: models.MLP(3, 4), r"one sequence, as in MLP\(\(784, 128, 10\)\); got 3"),
    (lambda: models.MLP((3, 4, 2), nn.ReLU()), r"such as the class nn.ReLU, .* got ReLU\(\)"),
    (lambda: models.LeNet(activation="relu"), "such as the class nn.ReLU, .* got 'relu'"),
])  # fmt: skip
def test_what_is_of_no_use_to_a_model_is_refused(make, complaint):
    with pytest.raises(TypeError, match=complaint):
        make()


VIT = models.ViT(8, 4, 1, 2, 8, 16, 3, 1)
CODER, VARIATIONAL = models.Autoencoder((4, 4, 1), 2, (8,)), models.VAE((4, 4, 1), 2, (8,))
FORGER, JUDGE = models.Generator(4, 1, 2, 8), models.Discriminator(1, 2, 8)
WRITER, READER = models.GPT(5, 4, 1, 1, 8), models.Bert(5, 8, 1, 2, 16, 4)
CHARACTERS = models.CharRNN(5, 4)


@pytest.mark.parametrize(("call", "error", "complaint"), [
    (lambda: VIT(pb.zeros((2, 9, 9, 1))), ValueError, r"ViT takes \(N, 8, 8, 1\), .* got shape \(2, 9, 9, 1\)"),
    (lambda: VIT(pb.zeros((2, 4, 16, 1))), ValueError, r"ViT takes \(N, 8, 8, 1\), .* got shape \(2, 4, 16, 1\)"),
    (lambda: VIT([1]), TypeError, "ViT takes an array; got list"),
    (lambda: CODER(pb.zeros((3, 1, 4, 4))), ValueError, r"Autoencoder takes \(N, 4, 4, 1\), .* \(3, 1, 4, 4\)"),
    (lambda: CODER.encode(pb.zeros((3, 16))), ValueError, r"Autoencoder takes \(N, 4, 4, 1\), .* got shape \(3, 16\)"),
    (lambda: CODER.decode(pb.zeros((3, 1, 2))), ValueError, r"Autoencoder.decode takes \(N, 2\), .* \(3, 1, 2\)"),
    (lambda: VARIATIONAL(pb.zeros((3, 16))), ValueError, r"VAE takes \(N, 4, 4, 1\), .* got shape \(3, 16\)"),
    (lambda: VARIATIONAL.sample(-1), ValueError, "VAE.sample: count is a whole number of 0 or more; got -1"),
    (lambda: FORGER(pb.zeros((2, 8))), ValueError, r"Generator takes \(N, 4\), .* got shape \(2, 8\)"),
    (lambda: JUDGE(pb.zeros((2, 16, 16, 1))), ValueError, r"Discriminator takes \(N, 8, 8, 1\), .* \(2, 16, 16, 1\)"),
    (lambda: WRITER(tokens(3)), ValueError, r"GPT takes tokens \(N, L\), one or more .* got shape \(3,\)"),
    (lambda: WRITER(tokens(1, 5)), ValueError, "texts of up to 4 tokens; got 5"),
    (lambda: WRITER(tokens(1, 2), [nn.KeyValueCache()] * 2), ValueError, "one cache for each of its 1 blocks; got 2"),
    (lambda: WRITER(pb.asarray([[5]])), IndexError, "outside .0, 5."),
    (lambda: WRITER.generate(tokens(3), 1), ValueError, r"tokens \(N, L\), one or more .* got shape \(3,\)"),
    (lambda: WRITER.generate(tokens(1, 0), 1), ValueError, r"tokens \(N, L\), one or more .* got shape \(1, 0\)"),
    (lambda: WRITER.generate([[1]], 1), TypeError, "GPT takes an array; got list"),
    (lambda: WRITER.generate(pb.zeros((1, 2)), 1), TypeError, "tokens of a GPT are integers; got float32"),
    (lambda: WRITER.generate(tokens(1, 2), -1), ValueError, "count is a whole number of 0 or more; got -1"),
    (lambda: READER(tokens(2)), ValueError, r"Bert takes tokens \(N, L\), one or more .* got shape \(2,\)"),
    (lambda: READER(tokens(2, 5)), ValueError, "Bert takes texts of up to 4 tokens; got 5"),
    (lambda: READER(pb.asarray([[5]])), IndexError, "outside .0, 5."),
    (lambda: READER(tokens(2, 3), tokens(3)), ValueError, r"attention_mask is shaped .* \(2, 3\); got \(3,\)"),
    (lambda: READER(tokens(2, 3), None, tokens(1, 3)), ValueError, r"token_types is shaped .* got \(1, 3\)"),
    (lambda: CHARACTERS(tokens(3, 2), CHARACTERS(tokens(2, 2))[1]), ValueError, r"LSTM starts from .* got \(2, 2, 4\)"),
    (lambda: CHARACTERS(tokens(2, 0)), ValueError, "one step or more"),
    (lambda: models.from_gpt2_state_dict({"ln_f.bias": pb.zeros(3)}), ValueError, "wte.weight; got ln_f.bias"),
    (lambda: models.from_gpt2_state_dict({"h.0.mlp.c_fc.weight": pb.zeros(3)}), ValueError, r"\(in, out\); got shape"),
])  # fmt: skip
def test_inputs_that_a_model_was_not_made_for_are_refused(call, error, complaint):
    with pytest.raises(error, match=complaint):
        call()


def test_a_variational_autoencoder_draws_codes_while_training_only():
    model, x = models.VAE((4, 4, 1), latent=2, hidden=(8,)), pb.random.uniform((5, 4, 4, 1))
    first, second = model(x)[0].numpy(), model(x)[0].numpy()
    assert np.any(first != second)
    model.eval()
    logits, mean, log_variance = model(x)
    np.testing.assert_array_equal(logits.numpy(), model(x)[0].numpy())
    np.testing.assert_array_equal(mean.numpy(), model.encode(x).numpy())
    m, v = mean.numpy().astype("float64"), np.exp(log_variance.numpy().astype("float64"))
    of_samples = np.sum((m**2 + v - 1 - np.log(v)) / 2, axis=1)
    assert model.divergence(mean, log_variance).item() == pytest.approx(of_samples.mean(), rel=1e-5)
    assert model.sample(3).shape == (3, 4, 4, 1)


@pytest.fixture
def gpt():
    pb.manual_seed(1)
    model = models.GPT(11, block_size=8, n_layer=2, n_head=2, n_embd=8)
    for p in model.parameters():
        nn.init.normal_(p, 0.0, 0.3)
    return model.eval()


def test_a_gpt_never_looks_ahead(gpt):
    tokens = np.random.default_rng(0).integers(0, 11, (2, 8))
    changed = tokens.copy()
    changed[:, 5:] = (changed[:, 5:] + 1) % 11
    a, b = (gpt(pb.asarray(t)).numpy() for t in (tokens, changed))
    np.testing.assert_allclose(a[:, :5], b[:, :5], atol=1e-6)
    assert np.abs(a[:, 5:] - b[:, 5:]).min(axis=-1).max() > 1e-4


@pytest.mark.parametrize("parts", [(8,), (5, 3), (1,) * 8, (2, 1, 4, 1)])
def test_what_was_read_need_not_be_read_again(gpt, parts):
    tokens = pb.asarray(np.random.default_rng(0).integers(0, 11, (2, 8)))
    caches = [nn.KeyValueCache() for _ in range(2)]
    ends = np.cumsum((0, *parts))
    pieces = [gpt(tokens[:, a:b], caches).numpy() for a, b in itertools.pairwise(ends)]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), gpt(tokens).numpy(), atol=1e-5)


def test_the_likeliest_text_is_the_one_found_by_reading_anew(gpt):
    start = np.asarray([[1, 2], [7, 3]])
    text = start
    for _ in range(12):
        logits = gpt(pb.asarray(text[:, -8:])).numpy()[:, -1]
        text = np.concatenate([text, logits.argmax(axis=-1)[:, None]], axis=1)
    gpt.train()
    found = gpt.generate(pb.asarray(start), 12, temperature=0)
    assert gpt.training
    # Once it outgrows the block, the text is read anew from its last tokens, as here at every step.
    np.testing.assert_array_equal(found.numpy()[:, :9], text[:, :9])
    assert found.shape == (2, 14)


def test_drawn_texts_are_those_of_their_seed(gpt):
    start = pb.asarray([[1, 2]])
    draw = lambda seed: gpt.generate(start, 5, generator=pb.random.Generator(seed)).tolist()
    assert draw(1) == draw(1)
    assert any(draw(seed) != draw(1) for seed in (2, 3))


def test_tokens_are_drawn_as_often_as_they_are_likely(place):
    logits = np.log([0.1, 0.2, 0.3, 0.4])
    rows = pb.asarray(np.tile(logits, (20_000, 1)))
    for temperature, power in ((1.0, 1.0), (0.5, 2.0)):
        shares = np.exp(logits * power) / np.exp(logits * power).sum()
        drawn = models.sample_tokens(rows, temperature, generator=pb.random.Generator(3))
        found = np.bincount(drawn.numpy(), minlength=4) / 20_000
        np.testing.assert_allclose(found, shares, atol=0.015)
    among = models.sample_tokens(rows, top_k=2, generator=pb.random.Generator(3)).numpy()
    np.testing.assert_allclose(np.bincount(among, minlength=4) / 20_000, [0, 0, 3 / 7, 4 / 7], atol=0.015)


def test_of_equal_tokens_as_many_are_drawn_from_as_was_asked(place):
    drawn = models.sample_tokens(pb.asarray([[1.0, 2.0, 1.0, 1.0]] * 500), top_k=3, generator=pb.random.Generator(1))
    assert set(drawn.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("row", [[0, np.nan, 1], [np.nan] * 3, [0, np.inf, 1], [-np.inf] * 3])
@pytest.mark.parametrize("temperature", [0, 1])
def test_logits_that_nothing_can_be_drawn_from_are_refused(row, temperature):
    with pytest.raises(ValueError, match="NaN or infinite, or -inf for every token"):
        models.sample_tokens(pb.tensor([[0.0, 1.0, 2.0], row]), temperature)


@pytest.mark.parametrize(("logits", "options", "error", "complaint"), [
    (pb.zeros(3), {"temperature": -1.0}, ValueError, "temperature is 0 or more, and finite; got -1.0"),
    (pb.zeros(3), {"temperature": np.nan}, ValueError, "temperature is 0 or more, and finite; got nan"),
    (pb.zeros(3), {"temperature": np.inf}, ValueError, "temperature is 0 or more, and finite; got inf"),
    (pb.zeros(3), {"top_k": 0}, ValueError, "top_k is a whole number of 1 or more; got 0"),
    (pb.zeros(3), {"top_k": 1.5}, TypeError, "top_k is a whole number"),
    (pb.zeros((2, 0)), {}, ValueError, r"one token or more; got shape \(2, 0\)"),
])  # fmt: skip
def test_a_draw_that_cannot_be_is_refused(logits, options, error, complaint):
    with pytest.raises(error, match=complaint):
        models.sample_tokens(logits, **options)


def test_the_least_of_temperatures_takes_the_likeliest():
    assert models.sample_tokens(pb.asarray([[0.0, 3.0, -np.inf]]), temperature=1e-320).tolist() == [1]


def test_texts_outgrow_the_dtype_of_their_beginning():
    model = models.GPT(300, 4, 1, 1, 8)
    nn.init.zeros_(model.lm_head.weight)
    model.transformer.ln_f.bias.array[...] = 1.0
    model.lm_head.weight.array[299, :] = 1.0
    text = model.generate(pb.zeros((1, 2), dtype="uint8"), 2, temperature=0)
    assert text.tolist() == [[0, 0, 299, 299]]


class Cutter:
    """A tokenizer that knows how many words there are."""

    def encode_batch(self, sentences):
        class Words:
            def __init__(self, sentence):
                self.ids = [len(sentence.split()), 0]
                self.attention_mask = [1, 0]

        return [Words(sentence) for sentence in sentences]


def test_sentences_are_lists_of_strings():
    encoder = models.SentenceEncoder(READER, Cutter())
    assert encoder.encode([]).shape == encoder.encode(np.asarray([], dtype=str)).shape == (0, 8)
    found = encoder.encode(sentence for sentence in ("a b", "c"))
    np.testing.assert_allclose((found.numpy() ** 2).sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(TypeError, match="got one string: put it in a list"):
        encoder.encode("a b")
    with pytest.raises(TypeError, match="among them is a int"):
        encoder.encode(["a", 1])


def test_the_output_shares_its_weights_with_the_table_of_tokens(gpt):
    assert gpt.lm_head.weight is gpt.transformer.wte.weight
    names = [name for name, _ in gpt.named_parameters()]
    assert "lm_head.weight" not in names
    assert {"transformer.wte.weight", "lm_head.weight"} <= set(gpt.state_dict())
