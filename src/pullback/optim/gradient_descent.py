"""Gradient descent for least squares, as the subject is taught."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import inf, isfinite, nan, prod
from numbers import Integral, Real
from typing import Any, NamedTuple

from ..autodiff.tensor import Tensor, array_of
from ..backends import Array, Backend, array_beside, backend, common_backend, find_backend_of
from ..backends.host import host
from ..ops.creation import zeros_like
from ..ops.indexing import take
from ..ops.linear_algebra import matmul, matrix_transpose
from ..ops.random import Generator, permutation, random_normal
from ..ops.statistical import sum as total
from .batch_plan import BatchPlan
from .divergence import DIVERGENCE_BOUND, Diverged, LossWatch

__all__ = ["Descent", "Restart", "gradient_descent"]


class _Pair(NamedTuple):
    theta: Any
    J_history: list[float]


class Restart(NamedTuple):
    """How one of several descents ended."""

    seed: int
    loss: float
    """The cost over all samples at the end; infinity where the descent diverged."""
    theta: Any
    """The parameters at the end; those of the last good loss where the descent diverged."""
    diverged: Diverged | None = None


class Descent(_Pair):
    """The pair `theta, J_history` of a descent.

    loss: the cost over all samples at `theta`.
    restarts: how each of the descents ended, when there were several; else empty.
    """

    loss: float = nan
    restarts: tuple[Restart, ...] = ()


def gradient_descent(
    X: Any,
    y: Any,
    theta: Any,
    alpha: float,
    num_iters: int,
    batch_size: int | None = None,
    *,
    seed: int = 0,
    restarts: int | None = None,
    divergence_bound: float = DIVERGENCE_BOUND,
    callback: Callable[[int, Any, float], object] | None = None,
) -> Descent:
    """Fit a linear model by gradient descent: `theta` such that `X @ theta` comes close to `y`.

    The cost of theta is half the mean squared error over the m samples,

        J = sum((X @ theta - y)**2) / (2 * m),

    and each iteration steps against its gradient:

        theta = theta - alpha * X.T @ (X @ theta - y) / m.

    Dividing by m makes the cost a mean, so that neither it nor a good alpha depends on how many samples
    there are; the 2 cancels when the square is differentiated.

    Which rows of X and y an iteration looks at is all that tells three algorithms apart:

    - batch gradient descent (BGD), `batch_size=None`: every row. Each step is exact, and costs a pass over
      all the data.
    - stochastic gradient descent (SGD), `batch_size=1`: one row. Steps are cheap, and noisy.
    - mini-batch gradient descent (MBGD), `batch_size=B`: B rows. Less noise, and enough work at a time to
      keep a processor busy.

    The latter two go through all rows in a new random order each epoch; m is then the size of the batch.

    alpha, the learning rate, scales the step. Too small, and the cost falls slowly. Too large, and a step
    lands further up on the other side of the valley than it began: the next gradient is greater, the
    cost grows each time, and the descent diverges. For BGD the limit is 2 over the greatest eigenvalue of
    X.T @ X / m. Features of very different sizes raise that eigenvalue, so standardize them first.

    X: (m, n), one row a sample; a column of ones gives the model an intercept. y: (m,) or (m, k).
    theta: where to start, (n,) or (n, k). All three may be arrays of any one backend, Tensors, or nested
        lists, which become float64 arrays of the current backend.
    num_iters: how many updates to make, whatever the batch size.
    seed: decides the order of the rows.
    restarts: run this many descents, from standard normal starting points drawn with the seeds `seed`,
        `seed + 1`, ..., and keep the one with the least cost over all samples. `theta` only gives the shape.
    divergence_bound: how many times the cost may exceed its reference, which is the greater of the costs
        of the starting point and of theta = 0.

    callback: called before each update with the iteration (from 1), theta and its cost: to draw the path, say.

    Returns a pair `theta, J_history`: theta in the kind that came in, and a list of the costs, each that of
    the batch that its iteration looked at, before the update. The pair also has `loss`, the cost over all
    samples at the end, and `restarts`, a `Restart` for each descent.
    Raises Diverged when the cost is not finite or exceeds its bound; its `theta` is that of the last good
    cost. With `restarts` a descent that diverges is reported; Diverged is raised when all of them do.

    >>> X, y = [[1, 2], [1, 3], [1, 4], [1, 5]], [3, 4, 5, 6]
    >>> theta, J_history = gradient_descent(X, y, [0, 0], alpha=0.01, num_iters=1000)
    >>> [round(float(t), 2) for t in theta], round(J_history[0], 2), round(J_history[-1], 4)
    ([0.71, 1.08], 10.75, 0.0039)
    """
    _check_settings(alpha, num_iters, restarts)
    as_tensor = any(isinstance(given, Tensor) for given in (X, y, theta))
    X, y, theta = _as_arrays(X, y, theta)
    m = X.shape[0]
    # The one difference between BGD, SGD and MBGD: how many rows an iteration looks at.
    plan = BatchPlan(samples=m, batch_size=m if batch_size is None else batch_size)

    def descend(start: Array, generator: Generator) -> Descent:
        return _descend(X, y, start, alpha, num_iters, plan, generator, divergence_bound, as_tensor, callback)

    if restarts is None:
        return descend(theta, Generator(seed))
    return _best_of(range(seed, seed + restarts), lambda generator: descend(_normal_like(theta, generator), generator))


def _descend(
    X: Array,
    y: Array,
    theta: Array,
    alpha: float,
    num_iters: int,
    plan: BatchPlan,
    generator: Generator,
    bound: float,
    as_tensor: bool,
    callback: Callable[[int, Any, float], object] | None,
) -> Descent:
    costs: list[float] = []
    good = theta

    def diverged(J: float, iteration: int) -> Diverged:
        kept, last = Tensor(good) if as_tensor else good, watch.last_loss
        return Diverged(watch.complaint(J), iteration=iteration, rate=alpha, last_loss=last, theta=kept, history=costs)

    # An overflow needs no warning: it shows in the cost, and is reported there.
    with host.errstate(over="ignore", invalid="ignore"):
        watch = LossWatch(bound, reference=max(_cost(X, y, theta), _cost(X, y, zeros_like(theta))))
        for X_rows, y_rows in islice(_batches(X, y, plan, generator), num_iters):
            m = y_rows.shape[0]
            error = matmul(X_rows, theta) - y_rows
            J = _half_mean_square(error, m)
            if not watch.accepts(J):
                raise diverged(J, len(costs) + 1)
            costs.append(J)
            good = theta
            if callback is not None:
                callback(len(costs), Tensor(theta) if as_tensor else theta, J)
            theta = theta - alpha * matmul(matrix_transpose(X_rows), error) / m
        final = _cost(X, y, theta)
        if not watch.accepts(final):
            raise diverged(final, num_iters)
    result = Descent(Tensor(theta) if as_tensor else theta, costs)
    result.loss = final
    return result


def _batches(X: Array, y: Array, plan: BatchPlan, generator: Generator) -> Iterator[tuple[Array, Array]]:
    """The rows that each iteration looks at, without end; a batch that holds them all needs no shuffling."""
    while True:
        X_epoch, y_epoch = X, y
        if plan.batches_per_epoch > 1:
            order = array_beside(X, permutation(plan.samples, generator=generator))
            X_epoch, y_epoch = take(X, order, axis=0), take(y, order, axis=0)
        for rows in plan.slices():
            yield X_epoch[rows, ...], y_epoch[rows, ...]


def _cost(X: Array, y: Array, theta: Array) -> float:
    return _half_mean_square(matmul(X, theta) - y, y.shape[0])


def _half_mean_square(error: Array, m: int) -> float:
    return float(Tensor(total(error * error)).item()) / (2 * m)


def _best_of(seeds: Iterable[int], descend: Callable[[Generator], Descent]) -> Descent:
    """Make every descent, and hand out the best with a report of all."""
    found: list[Descent] = []
    report: list[Restart] = []
    for seed in seeds:
        try:
            found.append(descend(Generator(seed)))
            report.append(Restart(seed, found[-1].loss, found[-1].theta))
        except Diverged as error:
            report.append(Restart(seed, inf, error.theta, error))
            failure = error
    if not found:
        raise failure
    best = min(found, key=lambda descent: descent.loss)
    best.restarts = tuple(report)
    return best


def _normal_like(theta: Array, generator: Generator) -> Array:
    """Standard normal values in the shape, dtype and place of theta."""
    shape = tuple(theta.shape)
    return random_normal(theta, seed=generator.seed, offset=generator.advance(prod(shape) + 1), shape=shape)


def _check_settings(alpha: float, num_iters: int, restarts: int | None) -> None:
    if not isinstance(alpha, Real) or isinstance(alpha, bool):
        raise TypeError(f"alpha, the learning rate, is a Python number, not {type(alpha).__name__}: give float(alpha)")
    if not (isfinite(alpha) and alpha > 0):
        raise ValueError(f"alpha, the learning rate, is a positive number; got {alpha!r}")
    if not _is_whole(num_iters) or num_iters < 0:
        raise ValueError(f"num_iters is a whole number, not negative; got {num_iters!r}")
    if restarts is not None and (not _is_whole(restarts) or restarts < 1):
        raise ValueError(f"restarts is a whole number of at least 1, or None; got {restarts!r}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _as_arrays(X: Any, y: Any, theta: Any) -> tuple[Array, Array, Array]:
    """The three as floating arrays of one backend, device and dtype; their shapes are checked."""
    given = list(map(array_of, (X, y, theta)))
    arrays = [value for value in given if find_backend_of(value) is not None]
    owner = common_backend("gradient_descent", arrays) or backend()
    xp, device = owner.namespace, owner.device_of(arrays[0]) if arrays else None
    for name, value in zip(("X", "y", "theta"), given, strict=True):
        if find_backend_of(value) is not None and xp.isdtype(value.dtype, "complex floating"):
            raise TypeError(
                f"{name} is complex ({value.dtype}); gradient_descent fits real numbers: take its real part"
            )
    floating = [a.dtype for a in arrays if xp.isdtype(a.dtype, "real floating")]
    dtype = xp.result_type(*floating) if floating else xp.float64
    X, y, theta = (
        _as_array(name, value, owner, dtype, device) for name, value in zip(("X", "y", "theta"), given, strict=True)
    )
    if len(X.shape) != 2 or len(theta.shape) not in (1, 2):
        raise ValueError(f"X is a table (m, n) and theta (n,) or (n, k); got {tuple(X.shape)} and {tuple(theta.shape)}")
    if theta.shape[0] != X.shape[1]:
        raise ValueError(f"theta has one row for each of the {X.shape[1]} columns of X; got {theta.shape[0]}")
    if tuple(y.shape) != (X.shape[0], *theta.shape[1:]):
        raise ValueError(f"y has shape {tuple(y.shape)}; X and theta ask for {(X.shape[0], *theta.shape[1:])}")
    return X, y, theta


def _as_array(name: str, value: Any, owner: Backend, dtype: Any, device: Any) -> Array:
    if find_backend_of(value) is not None:
        return owner.namespace.astype(value, dtype, copy=False)
    try:
        return owner.asarray(value, dtype=dtype, device=device)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no table of numbers: {error}") from error
