"""A network layer by layer: what comes out, what is learnt, how large the gradients are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from ...backends import backend_of
from ...backends.host import host
from ..tape import Leaf, enable_grad, walk
from ..tensor import Tensor
from ..tree import flatten
from .writing import number

__all__ = ["Layer", "Model", "NetworkSummary", "summarize"]


class Model(Protocol):
    """What is asked of a network: its modules and parameters by name, and its output."""

    def named_modules(self) -> Iterator[tuple[str, Any]]:
        """This module and all below it, with dotted names."""

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """All parameters, each once, with dotted names."""

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """All that is kept and not learnt, with dotted names."""

    def __call__(self, *inputs: Any) -> Any:
        """The network's output."""


@dataclass(frozen=True)
class Layer:
    """One module of a network."""

    name: str
    kind: str
    """The name of its class."""
    shape: Any
    """The shape of its output, or nested shapes where it has several; None where it was not called."""
    parameters: int
    """How many numbers it holds itself, those of modules inside it and of layers before it left out."""
    gradient_norm: float | None
    """The Euclidean norm of their gradients; None where there are none."""
    calls: int = 1


@dataclass(frozen=True)
class NetworkSummary:
    """A network layer by layer, in the order of the calls. Printed, it is a table."""

    kind: str
    layers: tuple[Layer, ...]
    parameters: int
    gradient_norm: float | None
    gradients_of: str
    """What the gradients are of."""

    def __str__(self) -> str:
        rows = [(_titled(layer), _shape(layer.shape), *_counted(layer)) for layer in self.layers]
        last = ("total", "", f"{self.parameters:,}", _norm(self.gradient_norm))
        titles = (self.kind, "output shape", "parameters", "gradient norm")
        widths = [max(map(len, column)) for column in zip(titles, *rows, last, strict=True)]
        lines = [
            f"{name:<{widths[0]}}   {shape:<{widths[1]}}   {count:>{widths[2]}}   {norm:>{widths[3]}}".rstrip()
            for name, shape, count, norm in (titles, *rows, last)
        ]
        rule = "─" * (sum(widths) + 9)
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], f"gradients of {self.gradients_of}"])


def _titled(layer: Layer) -> str:
    called = "" if layer.calls == 1 else " (not called)" if not layer.calls else f" (called {layer.calls} times)"
    return f"{layer.name} {layer.kind}".strip() + called


def _counted(layer: Layer) -> tuple[str, str]:
    return f"{layer.parameters:,}" if layer.parameters else "", _norm(layer.gradient_norm)


def _norm(norm: float | None) -> str:
    return "" if norm is None else number(norm)


def _shape(shape: Any) -> str:
    return "—" if shape is None else str(shape)


def summarize(model: Model, /, *inputs: Any, loss: Callable[[Any], Tensor] | None = None) -> NetworkSummary:
    """What each layer of a network makes of an input, see `explain`.

    A row stands for each module that has no modules inside it, or parameters of its own. Parameters that are shared
    count where they are met first. The network runs once, in the mode that it is in (so dropout draws random
    numbers), and is as it was afterwards: no `.grad` and no buffer is changed. No other thread may call it meanwhile.
    Raises TypeError for what is no module, ValueError where the loss is not one number.
    """
    if not (hasattr(model, "named_modules") and hasattr(model, "named_parameters")):
        raise TypeError(f"explain takes a Tensor, or a module and its input; got {type(model).__name__}")
    if not inputs:
        raise TypeError(f"explain needs an input for the network, as in explain(model, x); got {type(model).__name__}")
    modules = dict(model.named_modules())
    seen: dict[int, list[Any]] = {}
    with _watched(modules.values(), seen), _buffers_kept(model), enable_grad():
        output = model(*inputs)
        value = _mean(output) if loss is None else loss(output)
    norms = _gradient_norms(model, value)
    owners: dict[int, list[str]] = {id(module): [] for module in modules.values()}
    for name, _ in model.named_parameters():
        owners[id(modules[name.rpartition(".")[0]])].append(name)
    sizes = {name: parameter.size for name, parameter in model.named_parameters()}
    order = {key: place for place, key in enumerate(seen)}
    rows = []
    for name, module in modules.items():
        own = owners[id(module)]
        inner = any(other.startswith(f"{name}." if name else "") and other != name for other in modules)
        if inner and not own:
            continue
        shapes = seen.get(id(module), [])
        found = [norms[p] for p in own if p in norms]
        layer = Layer(
            name, type(module).__name__, shapes[0] if shapes else None, sum(sizes[p] for p in own),
            _together(found), len(shapes),
        )  # fmt: skip
        rows.append((order.get(id(module), len(seen)), layer))
    rows.sort(key=lambda row: row[0])
    of = "the mean of the output" if loss is None else "the loss"
    layers = tuple(layer for _, layer in rows)
    return NetworkSummary(type(model).__name__, layers, sum(sizes.values()), _together(list(norms.values())), of)


@contextmanager
def _watched(modules: Any, seen: dict[int, list[Any]]) -> Iterator[None]:
    """In a `with` block, the shapes that each module's `forward` gives are noted, under the module's id."""

    def watch(module: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*inputs: Any, **options: Any) -> Any:
            output = forward(*inputs, **options)
            leaves, rebuild = flatten(output)
            shapes = rebuild([tuple(leaf.shape) if hasattr(leaf, "shape") else None for leaf in leaves])
            seen.setdefault(id(module), []).append(shapes)
            return output

        return watched

    watching = list(modules)
    before = [vars(module).get("forward") for module in watching]
    try:
        for module in watching:
            object.__setattr__(module, "forward", watch(module, module.forward))
        yield
    finally:
        for module, own in zip(watching, before, strict=True):
            if own is not None:
                object.__setattr__(module, "forward", own)
            else:
                vars(module).pop("forward", None)


@contextmanager
def _buffers_kept(model: Model) -> Iterator[None]:
    """What a forward writes to buffers, such as running means, is put back."""
    before = {}
    for name, buffer in model.named_buffers():
        xp = backend_of(buffer.array).namespace
        before[name] = xp.asarray(buffer.array, copy=True)
    try:
        yield
    finally:
        for name, buffer in model.named_buffers():
            if name in before:
                buffer.array = before[name]


def _mean(output: Any) -> Tensor:
    """The mean of all that a network gives, where it is floating."""
    leaves = [leaf for leaf in flatten(output)[0] if isinstance(leaf, Tensor) and leaf.requires_grad]
    if not leaves:
        raise ValueError("no output of the network depends on a variable, so there is no gradient to explain")
    total: Tensor = sum((Tensor.namespace.mean(leaf) for leaf in leaves[1:]), Tensor.namespace.mean(leaves[0]))
    return total


def _gradient_norms(model: Model, value: Any) -> dict[str, float]:
    """The norm of each parameter's gradient; those that the value does not depend on have none."""
    if not isinstance(value, Tensor) or value.size != 1:
        given = f"shape {value.shape}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"a gradient is that of one number; the loss gave {given}")
    if value.node is None:
        return {}
    leaves = {name: p.node for name, p in model.named_parameters() if isinstance(p.node, Leaf)}
    one = Tensor.namespace.ones_like(value.detach()).array
    found = walk([(value.node, one)], wanted=list(leaves.values()))
    return {name: _norm_of(found[leaf]) for name, leaf in leaves.items() if leaf in found}


def _norm_of(gradient: Any) -> float:
    entries = host.abs(Tensor(gradient).numpy()).astype(host.float64)
    return float(host.linalg.norm(entries))


def _together(norms: list[float]) -> float | None:
    """The norm of several gradients taken as one."""
    return float(host.linalg.norm(norms)) if norms else None
