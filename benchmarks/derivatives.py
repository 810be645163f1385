"""Derivatives that are timed beside PyTorch: Jacobians, Hessians, and gradients of matrix decompositions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from work import Task, Work

import pullback as pb

_RNG = np.random.default_rng(0)


def network(library: Any, weights: list[Any]) -> Callable[[Any], Any]:
    """A perceptron of one hidden layer as a function of its input alone."""
    w1, b1, w2, b2 = weights
    return lambda x: library.tanh(x @ w1 + b1) @ w2 + b2


def weights_of(*sizes: int) -> list[np.ndarray]:
    inputs, hidden, outputs = sizes
    shapes = [(inputs, hidden), (hidden,), (hidden, outputs), (outputs,)]
    return [(_RNG.standard_normal(shape) / inputs**0.5).astype("float32") for shape in shapes]


def jacobian(*sizes: int, limit: float, calls: int) -> Task:
    """The Jacobian of a perceptron with respect to its input."""
    weights, x = weights_of(*sizes), _RNG.standard_normal(sizes[0]).astype("float32")

    def ours() -> Work:
        function = pb.jacobian(network(pb, [pb.tensor(w) for w in weights]))
        point = pb.tensor(x)
        return lambda: function(point)

    def theirs(torch: Any) -> Work:
        function = torch.func.jacrev(network(torch, [torch.from_numpy(w).to(device()) for w in weights]))
        point = torch.from_numpy(x).to(device())
        return lambda: function(point)

    return Task(f"jacobian of a perceptron {'-'.join(map(str, sizes))}", limit, ours, theirs, calls)


def hessian(*sizes: int, limit: float, calls: int) -> Task:
    """The Hessian of a perceptron's one output, squared, with respect to its input."""
    weights, x = weights_of(*sizes), _RNG.standard_normal(sizes[0]).astype("float32")

    def ours() -> Work:
        net = network(pb, [pb.tensor(w) for w in weights])
        function, point = pb.hessian(lambda x: (net(x) ** 2).sum()), pb.tensor(x)
        return lambda: function(point)

    def theirs(torch: Any) -> Work:
        net = network(torch, [torch.from_numpy(w).to(device()) for w in weights])
        function, point = torch.func.hessian(lambda x: (net(x) ** 2).sum()), torch.from_numpy(x).to(device())
        return lambda: function(point)

    return Task(f"hessian of a perceptron {'-'.join(map(str, sizes))}", limit, ours, theirs, calls)


def decomposition(name: str, size: int, dtype: str, limit: float, calls: int) -> Task:
    """The value of a function of a matrix and the gradient of the sum of all that it gives."""
    matrix = _RNG.standard_normal((size, size)).astype(dtype)
    right = _RNG.standard_normal((size, size)).astype(dtype)
    inputs = [matrix @ matrix.T] if name == "eigh" else [matrix, right] if name == "solve" else [matrix]
    options = {"full_matrices": False} if name == "svd" else {}

    def through(library: Any, make: Callable[[np.ndarray], Any]) -> Work:
        function, variables = getattr(library.linalg, name), [make(x) for x in inputs]

        def run() -> None:
            for x in variables:
                x.grad = None
            y = function(*variables, **options)
            parts = (y,) if name == "solve" else y
            total = parts[0].sum()
            for part in parts[1:]:
                total = total + part.sum()
            total.backward()

        return run

    return Task(
        f"{name} and its gradient, {size}x{size} {dtype}",
        limit,
        lambda: through(pb, lambda x: pb.tensor(x, requires_grad=True)),
        lambda torch: through(torch, lambda x: torch.from_numpy(x).to(device()).requires_grad_()),
        calls,
    )


def device() -> str:
    return "cuda" if pb.backend().name == "cupy" else "cpu"


DERIVATIVES = [
    jacobian(256, 256, 256, limit=1.5, calls=5),
    hessian(64, 64, 1, limit=1.5, calls=10),
    *(
        decomposition(name, 256, dtype, limit=1.5, calls=1)
        for name in ("svd", "eigh", "solve")
        for dtype in ("float32", "float64")
    ),
]
