"""The model zoo: shapes, refusals, and what each promises beyond a forward."""

import itertools

import numpy as np
import pytest

import pullback as pb
from pullback import models, nn

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
    (lambda: models.sample_tokens(pb.zeros(3), temperature=-1.0), "temperature is 0 or more"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


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


def test_the_output_shares_its_weights_with_the_table_of_tokens(gpt):
    assert gpt.lm_head.weight is gpt.transformer.wte.weight
    names = [name for name, _ in gpt.named_parameters()]
    assert "lm_head.weight" not in names
    assert {"transformer.wte.weight", "lm_head.weight"} <= set(gpt.state_dict())
