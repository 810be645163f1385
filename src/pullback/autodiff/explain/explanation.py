"""Backpropagation through one computation, as it is taught."""

from collections.abc import Callable
from functools import cached_property
from html import escape
from typing import Any, overload

from ..tensor import Tensor
from .chain_rule import chain_rule_latex
from .mermaid import mermaid
from .network import Model, NetworkSummary, summarize
from .steps import Link, Step, steps_behind
from .svg import svg
from .table import chain_rule, gradients, table
from .writing import ascii_text

__all__ = ["Explanation", "explain"]


class Explanation:
    """A computation step by step: values forward, derivatives backward.

    steps: variables first, then what was computed, the result last; each with its name, expression, value, local
        derivatives and gradient.

    Printed, it is a table of the steps, the chain rule for each variable, and the gradients.
    """

    def __init__(self, steps: list[Step]) -> None:
        self.steps = tuple(steps)

    @property
    def result(self) -> Step:
        """The last step: what the gradients are of."""
        return self.steps[-1]

    @property
    def variables(self) -> tuple[Step, ...]:
        """The steps that the result is differentiated by."""
        return tuple(step for step in self.steps if step.kind == "variable")

    @property
    def gradients(self) -> dict[str, Tensor]:
        """The gradient of each variable, by name, in the variable's shape."""
        return {step.name: step.gradient for step in self.variables if step.gradient is not None}

    @cached_property
    def uses(self) -> dict[Step, list[tuple[Step, Link]]]:
        """For each step, the steps that it is an input of, and their derivatives by it."""
        found: dict[Step, list[tuple[Step, Link]]] = {step: [] for step in self.steps}
        for step in self.steps:
            for link in step.links:
                found[link.input].append((step, link))
        return found

    def text(self, *, ascii: bool = False) -> str:
        """The table of the steps, the chain rule for each variable, the result and its gradients.

        ascii: write nothing but ASCII: `dv2/dv1 = 2*v1` for `∂v2/∂v1 = 2·v1`.
        """
        letters = ascii_text if ascii else str
        rules = [chain_rule(s, self.uses[s], self.result.name) for s in self.variables if self.uses[s]]
        rest = letters("\n\n".join(["\n".join(rules)] * bool(rules) + [gradients(self.steps)]))
        return f"{table(self.steps, letters)}\n\n{rest}"

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        names = ", ".join(step.name for step in self.variables)
        return f"<Explanation of {self.result.name} by {names}: {len(self.steps)} steps>"

    def latex(self) -> str:
        """The steps and the chain rule as LaTeX, for a document that uses the package amsmath.

        Each derivative is written as the sum over the paths from the result to the variable of the products of
        the derivatives along them; where the paths are many or long, as the recursion that backpropagation is.
        """
        return chain_rule_latex(self.steps, self.uses)

    def mermaid(self) -> str:
        """The graph as Mermaid text, which Markdown pages and notebooks draw."""
        return mermaid(self.steps)

    def svg(self) -> str:
        """The graph as an SVG picture: values in blue above the boxes, gradients in orange below."""
        return svg(self.steps)

    def _repr_html_(self) -> str:
        return f"{self.svg()}<pre>{escape(str(self))}</pre>"


@overload
def explain(what: Tensor, /, **names: Tensor) -> Explanation: ...
@overload
def explain(what: Model, /, *inputs: Any, loss: Callable[[Any], Tensor] | None = None) -> NetworkSummary: ...
def explain(what: Any, /, *inputs: Any, **options: Any) -> Explanation | NetworkSummary:
    """Backpropagation as it is taught: of a Tensor step by step, of a network layer by layer.

    `explain(loss, w=w, b=b)`: loss is a recorded Tensor of one element whose graph is still there, so before
    `backward()` or after `backward(retain_graph=True)`. The names are for variables, and for any other Tensors
    on the way; what has none gets one (x1, x2 for variables, v1, v2 for steps). Gives an `Explanation`: print it,
    or take its `.latex()`, `.mermaid()` or `.svg()`. No `.grad` is changed.

    `explain(model, x)`: what each layer of a module makes of an input, as a `NetworkSummary`: output shapes, numbers
    of parameters, and the norms of their gradients, of `loss(model(x))` or, by default, of the mean of the output.

    Raises RuntimeError where there is no graph or none any more, ValueError for a loss of several elements.

    >>> import pullback as pb
    >>> w, x = pb.tensor(2.0, requires_grad=True), pb.tensor(3.0)
    >>> print(explain(w * x + w, w=w))
    step          value   local derivative   gradient
    ─────────────────────────────────────────────────
    w                 2                             4
    v1 = w·3          6   ∂v1/∂w = 3                1
    f  = v1 + w       8   ∂f/∂v1 = 1                1
                          ∂f/∂w  = 1
    <BLANKLINE>
    df/dw = df/dv1·∂v1/∂w + ∂f/∂w = 1·3 + 1
    <BLANKLINE>
    f = 8
    df/dw = 4
    """
    if not isinstance(what, Tensor):
        return summarize(what, *inputs, **options)
    if inputs:
        raise TypeError("explain takes a Tensor alone; give its variables by name, as in explain(loss, w=w)")
    for name, tensor in options.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"a name is given to a Tensor; {name} is {type(tensor).__name__}")
    if what.size != 1:
        raise ValueError(f"a gradient is that of one number, not of shape {what.shape}; explain its .sum(), say")
    return Explanation(steps_behind(what, options))
