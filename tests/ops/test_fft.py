"""Fourier transforms against PyTorch and closed forms."""

import inspect
from importlib import import_module

import array_api_strict
import numpy as np
import pytest

import pullback as pb
from pullback.ops import fft

TO_COMPLEX = ("fft", "ifft")
TO_REAL = ("irfft", "hfft")
FROM_REAL = ("rfft", "ihfft")
NORMS = ["backward", "ortho", "forward"]
LENGTHS = [{}, {"n": 3}, {"n": 4}, {"n": 9, "axis": 0}, {"n": 1}, {"n": 12, "axis": -2}]
SEVERAL = [{}, {"axes": (2, 0)}, {"axes": (1,)}, {"s": (3, 6), "axes": (0, -1)}, {"s": (6, 2, 7), "axes": (1, 2, 0)}]


@pytest.fixture
def torch_namespace():
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pullback[parity]'")
    return import_module("array_api_compat.torch")


def draw(shape, kind, seed):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(shape)
    return x + 1j * generator.standard_normal(shape) if kind == "complex" else x


def cases():
    for name in (*TO_COMPLEX, *TO_REAL, *FROM_REAL):
        yield from ((name, (4, 5), options) for options in LENGTHS)
    for name in ("fftn", "ifftn", "rfftn", "irfftn"):
        yield from ((name, (2, 3, 4), options) for options in SEVERAL)


@pytest.mark.parity
@pytest.mark.on_numpy
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("name", "shape", "options"), list(cases()))
def test_values_and_gradients_are_those_of_pytorch(name, shape, options, norm, torch_namespace):
    torch = import_module("torch")
    x = draw(shape, "real" if name in (*FROM_REAL, "rfftn") else "complex", 0)
    ours, theirs = pb.tensor(x, requires_grad=True), torch.from_numpy(x.copy()).requires_grad_()
    y = getattr(fft, name)(ours, norm=norm, **options)
    expected = getattr(torch_namespace.fft, name)(theirs, norm=norm, **options)
    assert str(expected.dtype) == f"torch.{y.dtype.name}"
    np.testing.assert_allclose(y.numpy(), expected.detach().resolve_conj().numpy(), rtol=1e-12, atol=1e-12)
    weight = draw(y.shape, "complex" if expected.is_complex() else "real", 1)
    y.backward(pb.tensor(weight))
    expected.backward(torch.from_numpy(weight))
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.resolve_conj().numpy(), rtol=1e-12, atol=1e-12)


def test_every_function_of_the_standard_is_there_with_its_signature():
    assert set(fft.__all__) == set(array_api_strict.fft.__all__)
    for name in fft.__all__:
        ours = inspect.signature(getattr(fft, name)).parameters
        theirs = inspect.signature(getattr(array_api_strict.fft, name)).parameters
        assert {n: (p.kind, p.default) for n, p in ours.items()} == {
            n: (p.kind, p.default) for n, p in theirs.items()
        }, name


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("pair", [("fft", "ifft"), ("fftn", "ifftn"), ("rfft", "irfft"), ("rfftn", "irfftn")])
def test_a_transform_and_its_inverse_leave_the_signal_and_its_gradient_as_they_are(pair, norm, place):
    x = pb.tensor(draw((4, 6), "real" if pair[0].startswith("r") else "complex", 0), requires_grad=True)
    there, back = (getattr(fft, name) for name in pair)
    y = back(there(x, norm=norm), norm=norm)
    weight = draw((4, 6), "complex" if pair[0].startswith("f") else "real", 1)
    y.backward(pb.tensor(weight))
    np.testing.assert_allclose(y.numpy(), x.numpy(), atol=1e-12)
    np.testing.assert_allclose(x.grad.numpy(), weight, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_the_energy_of_a_real_signal_has_twice_the_signal_as_its_gradient(n, place):
    x = pb.tensor(draw((n,), "real", 0), requires_grad=True)
    energy = pb.sum(pb.abs(fft.fft(pb.astype(x, pb.complex128), norm="ortho")) ** 2)
    energy.backward()
    np.testing.assert_allclose(energy.item(), np.sum(x.numpy() ** 2), rtol=1e-12)
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.numpy(), rtol=1e-10)


@pytest.mark.parametrize("name", sorted({case[0] for case in cases()}))
def test_single_precision_stays_single(name, place):
    real = name in (*FROM_REAL, "rfftn")
    x = pb.tensor(draw((3, 4), "real" if real else "complex", 0).astype("float32" if real else "complex64"))
    y = getattr(fft, name)(x.requires_grad_())
    assert y.dtype == (pb.float32 if name in (*TO_REAL, "irfftn") else pb.complex64)
    y.backward(pb.ones_like(y.detach()))
    assert x.grad.dtype == x.dtype


@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies_are_made_by_the_current_backend(n, place):
    for name in ("fftfreq", "rfftfreq"):
        made = getattr(fft, name)(n, d=0.25)
        assert made.dtype == pb.float32
        assert made.device == pb.zeros(1).device
        np.testing.assert_allclose(made.numpy(), getattr(np.fft, name)(n, d=0.25), rtol=1e-6)
        assert getattr(fft, name)(n, dtype=pb.float64).dtype == pb.float64


def test_lengths_without_their_axes_are_refused(place):
    x = pb.tensor(draw((3, 4), "complex", 0))
    with pytest.raises(ValueError, match=r"s=\(3, 4\) needs axes="):
        fft.fftn(x, s=(3, 4))
    with pytest.raises(ValueError, match="s and axes are as many"):
        fft.ifftn(x, s=(3,), axes=(0, 1))
