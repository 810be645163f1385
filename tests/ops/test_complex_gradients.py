"""Gradients at complex numbers are PyTorch's: of a real loss, the direction of its steepest ascent."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb

pytestmark = [
    pytest.mark.parity,
    pytest.mark.on_numpy,
    pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed: pip install 'pullback[parity]'"),
]

TOLERANCE = {"complex64": 2e-4, "complex128": 1e-10}
Z, W, R = "Z", "W", "R"  # complex (3, 4), complex (4,), real (3, 4)


def draw(kind: str, dtype: str, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng([seed, ord(kind)])
    shape = (4,) if kind == W else (3, 4)
    if kind == R:
        return generator.uniform(0.5, 2.0, shape).astype({"complex64": "float32", "complex128": "float64"}[dtype])
    return (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)).astype(dtype)


def agree(
    ours: Callable[..., Any], theirs: Callable[..., Any], inputs: list[np.ndarray], dtype: str, slack: float = 1.0
) -> None:
    """The values of both, and the gradients of a real loss that weighs real and imaginary parts differently."""
    import torch

    tensors = [pb.asarray(x).requires_grad_() for x in inputs]
    references = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, expected = ours(*tensors), theirs(*references)
    tolerance = TOLERANCE[dtype] * slack
    np.testing.assert_allclose(y.numpy(), expected.detach().resolve_conj().numpy(), rtol=tolerance, atol=tolerance)
    assert str(y.dtype).split(".")[-1] == str(expected.dtype).split(".")[-1]
    generator = np.random.default_rng(9)
    weights = generator.standard_normal(y.shape), generator.standard_normal(y.shape)
    if pb.isdtype(y.dtype, "complex floating"):
        loss = (pb.real(y) * pb.asarray(weights[0])).sum() + (pb.imag(y) * pb.asarray(weights[1])).sum()
        other = (expected.real * torch.tensor(weights[0])).sum() + (expected.imag * torch.tensor(weights[1])).sum()
    else:
        loss, other = (y * pb.asarray(weights[0])).sum(), (expected * torch.tensor(weights[0])).sum()
    loss.backward()
    other.backward()
    for mine, reference in zip(tensors, references, strict=True):
        wanted = reference.grad.resolve_conj().numpy()
        scale = max(1.0, float(np.abs(wanted).max()))
        assert mine.grad.numpy().dtype == wanted.dtype
        np.testing.assert_allclose(mine.grad.numpy() / scale, wanted / scale, rtol=tolerance, atol=tolerance)


UNARY = {
    "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "log2": "log2", "log10": "log10", "sqrt": "sqrt",
    "square": "square", "reciprocal": "reciprocal", "negative": "negative", "positive": "positive", "sin": "sin",
    "cos": "cos", "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "asinh": "asinh", "acosh": "acosh", "atanh": "atanh", "abs": "abs", "conj": "conj", "real": "real",
    "imag": "imag", "sign": "sgn", "sum": "sum", "mean": "mean", "prod": "prod",
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_array(name: str, dtype: str) -> None:
    import torch

    agree(getattr(pb, name), getattr(torch, UNARY[name]), [draw(Z, dtype)], dtype)


def both(write: Callable[[Any], Callable[..., Any]]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """One expression, for us and for PyTorch."""
    import torch

    return write(pb), write(torch)


MASK = np.asarray([[True, False, True, False], [False] * 4, [True] * 4])
PLACES = np.asarray([2, 0, 2, -1])
COLUMNS = np.asarray([[0, 0, 3], [1, 2, 1], [3, 3, 3]])


def at(xp: Any, indices: np.ndarray) -> Any:
    return xp.asarray(indices)


EXPRESSIONS: dict[str, tuple[Callable[[Any], Callable[..., Any]], list[str]]] = {
    "add": (lambda xp: lambda z, w: z + w, [Z, W]),
    "subtract": (lambda xp: lambda z, w: w - z, [Z, W]),
    "multiply": (lambda xp: lambda z, w: z * w, [Z, W]),
    "divide": (lambda xp: lambda z, w: z / w, [Z, W]),
    "pow": (lambda xp: lambda z, w: z**w, [Z, W]),
    "pow of a number": (lambda xp: lambda z: z**3 + z**-1.5 + (2.5 + 1j) ** z, [Z]),
    "multiply by a real array": (lambda xp: lambda z, r: z * r, [Z, R]),
    "divide by a real array": (lambda xp: lambda z, r: z / r + r / z, [Z, R]),
    "pow of a real array": (lambda xp: lambda z, r: r**z + z**r, [Z, R]),
    "add a complex number": (lambda xp: lambda r: (r + 2j) * (1 - 1j) / (3j - r), [R]),
    "where": (lambda xp: lambda z, r: xp.where(at(xp, MASK), z, r + 0j), [Z, R]),
    "matmul": (lambda xp: lambda z, w: xp.matmul(z, w), [Z, W]),
    "matmul with the conjugate": (lambda xp: lambda z: xp.matmul(z, xp.conj(z).mT), [Z]),
    "matmul of real and complex": (lambda xp: lambda z, r: xp.matmul(z, (r + 0j).mT), [Z, R]),
    "vecdot": (lambda xp: lambda z, w: (xp if xp is pb else xp.linalg).vecdot(z, w), [Z, W]),
    "tensordot": (lambda xp: lambda z, w: xp.tensordot(z, w, **{"axes" if xp is pb else "dims": 1}), [Z, W]),
    "take": (lambda xp: lambda z: z[:, at(xp, PLACES)] * z[..., :1], [Z]),
    "slices": (lambda xp: lambda z: z[1:, ::2] * z[None, 0, 0], [Z]),
    "mask": (lambda xp: lambda z: z[at(xp, MASK)] ** 2, [Z]),
    "concat": (lambda xp: lambda z, w: xp.concat([z, w[None] * z[:1]]), [Z, W]),
    "stack": (lambda xp: lambda z, w: xp.stack([z[0], w]) * w, [Z, W]),
    "modulus and phase": (lambda xp: lambda z: xp.abs(z) * xp.atan2(xp.imag(z), xp.real(z)), [Z]),
    "real and imaginary parts": (lambda xp: lambda z: xp.real(z) * xp.imag(z * z) + xp.abs(z) ** 2, [Z]),
    "not holomorphic": (lambda xp: lambda z: xp.conj(z) * xp.exp(xp.conj(z) * z), [Z]),
    "of real inputs": (lambda xp: lambda r: xp.abs(xp.exp(1j * r) + 2) * xp.real(xp.sqrt(r - 1 + 0j)), [R]),
    "triangle": (lambda xp: lambda z: xp.tril(z) * xp.triu(xp.conj(z)), [Z]),
    "fft": (lambda xp: lambda z: xp.fft.fft(z) * xp.conj(xp.fft.ifft(z)), [Z]),
    "rfft": (lambda xp: lambda r: xp.abs(xp.fft.rfft(r)), [R]),
    "inverse": (lambda xp: lambda z: xp.linalg.inv(z[:, :3]), [Z]),
    "determinant": (lambda xp: lambda z: xp.linalg.det(z[:, :3]), [Z]),
    "vector norm": (lambda xp: lambda z: xp.linalg.vector_norm(z), [Z]),
}


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name: str, dtype: str) -> None:
    write, kinds = EXPRESSIONS[name]
    agree(*both(write), [draw(kind, dtype) for kind in kinds], dtype, slack=10.0)


# The same thing under two names.
PAIRS = {
    "prod along an axis": (lambda z: pb.prod(z, axis=1), lambda z: z.prod(1)),
    "prod with zeros": (lambda z: pb.prod(z * pb.asarray(MASK), axis=1), "prod"),
    "sum along an axis": (lambda z: pb.sum(z, axis=0, keepdims=True), lambda z: z.sum(0, keepdim=True)),
    "cumulative_sum": (lambda z: pb.cumulative_sum(z, axis=1), lambda z: z.cumsum(1)),
    "cumulative_prod": (lambda z: pb.cumulative_prod(z, axis=1), lambda z: z.cumprod(1)),
    "var": (lambda z: pb.var(z, axis=1, correction=1), lambda z: z.var(1)),
    "std": (lambda z: pb.std(z, axis=1, correction=1), lambda z: z.std(1)),
    "repeat": (lambda z: pb.repeat(z, 3, axis=1) ** 2, lambda z: z.repeat_interleave(3, 1) ** 2),
    "tile": (lambda z: pb.tile(z, (2, 1)) ** 2, lambda z: z.repeat(2, 1) ** 2),
    "flip": (lambda z: pb.flip(z, axis=0) * z, lambda z: z.flip(0) * z),
    "roll": (lambda z: pb.roll(z, 1, axis=1) * z, lambda z: z.roll(1, 1) * z),
    "permute_dims": (lambda z: pb.permute_dims(z, (1, 0)) @ z, lambda z: z.permute(1, 0) @ z),
    "take_along_axis": (lambda z: pb.take_along_axis(z, pb.asarray(COLUMNS), axis=1) ** 2, "gather"),
    "astype": (lambda z: pb.astype(pb.abs(z), z.dtype) * z, lambda z: z.abs().to(z.dtype) * z),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", PAIRS)
def test_functions_that_pytorch_names_otherwise(name: str, dtype: str) -> None:
    import torch

    theirs: dict[Any, Callable[..., Any]] = {
        "prod": lambda z: (z * torch.tensor(MASK)).prod(1),
        "gather": lambda z: z.gather(1, torch.tensor(COLUMNS)) ** 2,
    }
    ours, other = PAIRS[name]
    agree(ours, theirs.get(other, other), [draw(Z, dtype)], dtype, slack=10.0)


STEPS: list[Callable[[Any], Callable[[Any], Any]]] = [
    lambda xp: xp.sin,
    lambda xp: xp.tanh,
    lambda xp: xp.conj,
    lambda xp: lambda z: xp.exp(0.3 * z),
    lambda xp: lambda z: xp.sqrt(z + 4),
    lambda xp: lambda z: xp.log(z * z + 9),
    lambda xp: lambda z: z / (xp.abs(z) + 1),
    lambda xp: lambda z: xp.real(z) + 0.5j * xp.abs(z),
    lambda xp: lambda z: xp.imag(z) - 1j * xp.real(z),
    lambda xp: lambda z: 0.2 * xp.matmul(z, xp.conj(z).mT) @ z,
    lambda xp: lambda z: xp.where(at(xp, MASK), z, xp.conj(z) * 1j),
    lambda xp: lambda z: z[..., at(xp, PLACES)],
    lambda xp: lambda z: z * xp.prod(0.5 * z[0]),
    lambda xp: lambda z: z - xp.sum(z) / 12,
    lambda xp: lambda z: z**2 / (2 - 1j),
]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(0, len(STEPS) - 1), min_size=2, max_size=5), st.sampled_from(["complex64", "complex128"]))
def test_random_compositions(steps: list[int], dtype: str) -> None:
    def write(xp: Any) -> Callable[[Any], Any]:
        def compose(z: Any) -> Any:
            for step in steps:
                z = STEPS[step](xp)(z)
            return z

        return compose

    agree(*both(write), [0.5 * draw(Z, dtype)], dtype, slack=10.0)


def test_a_step_along_the_gradient_ascends_most() -> None:
    """What the convention is for: of all directions of one length, that of the gradient raises a real loss most."""
    z = np.asarray([0.3 - 0.8j, -1.1 + 0.4j])

    def loss(z: Any) -> Any:
        return pb.sum(pb.abs(pb.sin(z)) ** 2) + pb.real(pb.exp(z[0] * z[1]))

    gradient = pb.grad(loss)(z)
    unit = gradient / np.linalg.norm(gradient)
    others = np.random.default_rng(0).standard_normal((200, 2, 2)) @ [1, 1j]
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    rises = [float(loss(z + 1e-6 * step)) for step in (unit, *others)]
    assert max(rises) == rises[0]
