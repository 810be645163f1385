"""Sharpness-aware minimization: the gradient from where the loss is highest near by."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..autodiff.tape import enable_grad, no_grad
from ..autodiff.tensor import Tensor
from ..backends import Array
from ..ops.elementwise import abs
from .clip import joint_norm, like
from .hyperparameters import AT_LEAST_ZERO, check_hyperparameters
from .lbfgs import LBFGS
from .optimizer import Optimizer

__all__ = ["SAM"]


class SAM(Optimizer):
    """Sharpness-aware minimization (Foret, Kleiner, Mobahi and Neyshabur, 2021) around another optimizer.

    Each step climbs along the gradient by `rho`, takes the gradient there, and steps with it from where it was: two
    passes. Either both by hand, as here, or `step(closure)`.

    params: parameters or groups, for `base_optimizer`. base_optimizer: the class of the optimizer that makes the
    step; `options` are its arguments. rho: how far to climb. adaptive: measured relative to the parameters' sizes, so
    that scaling them makes no difference (ASAM: Kwon, Kim, Park and Choi, 2021; it wants a `rho` about ten times
    larger).
    Raises TypeError for a base optimizer that is made already, or that takes a closure itself; ValueError for a `rho`
    that makes no sense.

    >>> import pullback as pb
    >>> from pullback.optim import SGD
    >>> w = pb.tensor([1.0], requires_grad=True)
    >>> optimizer = SAM([w], SGD, lr=0.1, rho=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.first_step(zero_grad=True)
    >>> (w * w).sum().backward()
    >>> optimizer.second_step(zero_grad=True)
    >>> w
    Tensor([0.7], dtype=float32, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        base_optimizer: Callable[..., Optimizer],
        rho: float = 0.05,
        adaptive: bool = False,
        **options: Any,
    ) -> None:
        check_hyperparameters("SAM", {"rho": rho}, {"rho": AT_LEAST_ZERO})
        base = base_optimizer(params, **options) if callable(base_optimizer) else None
        if not isinstance(base, Optimizer) or isinstance(base, (LBFGS, SAM)):
            raise TypeError(
                "SAM expects the class of an optimizer that takes one gradient a step, as SAM(params, SGD, lr=0.1); "
                f"got {base_optimizer!r}"
            )
        self.base_optimizer = base
        self.rho, self.adaptive = rho, adaptive
        self._origins: list[tuple[Tensor, Array]] = []

    @property
    def defaults(self) -> dict[str, Any]:  # type: ignore[override]  # the base's, which are read and not replaced
        """The base optimizer's."""
        return self.base_optimizer.defaults

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The base optimizer's, so that schedules set its rates."""
        return self.base_optimizer.param_groups

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimize more parameters, with hyperparameters of their own."""
        self.base_optimizer.add_param_group(group)

    def first_step(self, zero_grad: bool = False) -> None:
        """Climb: to where the loss is highest at a distance of `rho`, as far as the gradient tells.

        zero_grad: forget the gradients then, ready for those of that place.
        Raises RuntimeError where the step before this one was not finished by `second_step`.
        """
        if self._origins:
            raise RuntimeError("first_step was called twice; call second_step after the second backward()")
        found = [(p, p.grad.detach()) for group in self.param_groups for p in group["params"] if p.grad is not None]
        with no_grad():
            sizes = [abs(p.detach()) if self.adaptive else None for p, _ in found]
            steps = [g if size is None else size * g for (_, g), size in zip(found, sizes, strict=True)]
            norms = [joint_norm(steps)] if steps else []
            for (p, _), step, size in zip(found, steps, sizes, strict=True):
                factor = like(self.rho / (norms[0] + 1e-12), step)
                self._origins.append((p, p.array))
                p.array = (p.detach() + (step if size is None else size * step) * factor).array
        if zero_grad:
            self.zero_grad()

    def second_step(self, zero_grad: bool = False) -> None:
        """Go back, and let the base optimizer step with the gradient that was found.

        Raises RuntimeError without a `first_step`.
        """
        if not self._origins:
            raise RuntimeError("second_step goes back from first_step, which was not called or found no gradient")
        self._go_back()
        self.base_optimizer.step()
        if zero_grad:
            self.zero_grad()

    def _go_back(self) -> None:
        for p, array in self._origins:
            p.array = array
        self._origins.clear()

    def step(self, closure: Callable[[], Any] | None = None, *, hyper: Any = None) -> Any:
        """Both steps.

        closure: computes the loss and its gradients, and returns the loss. Called twice; gradients are
            forgotten in between, whether it does so itself or not.
        Returns the first loss. Raises TypeError without a closure, RuntimeError where it leaves no gradient.
        """
        if closure is None or hyper is not None:
            raise TypeError("SAM takes two passes in a step: call step(closure), or first_step() and second_step()")
        with enable_grad():
            loss = closure()
        self.first_step(zero_grad=True)
        if not self._origins:
            raise RuntimeError("SAM expects a closure that calls backward() on the loss; it left no gradient")
        try:
            with enable_grad():
                closure()
        except BaseException:  # Ctrl-C too: nobody is to find the weights where they climbed to
            self._go_back()
            raise
        self.second_step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The base optimizer's."""
        return self.base_optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As the base optimizer's."""
        self.base_optimizer.load_state_dict(state)

    def next_hyper(self) -> list[dict[str, Any]]:
        """Refused: two passes are not traced as one step."""
        raise TypeError("SAM is not traced; trace the step of its base_optimizer")

    def state_tensors(self) -> list[Tensor]:
        """The base optimizer's."""
        return self.base_optimizer.state_tensors()

    def __getstate__(self) -> dict[str, Any]:
        """Everything; the base optimizer sees to its own buffers."""
        return dict(vars(self))

    def __repr__(self) -> str:
        return f"SAM({self.base_optimizer!r}, rho={self.rho}, adaptive={self.adaptive})"
