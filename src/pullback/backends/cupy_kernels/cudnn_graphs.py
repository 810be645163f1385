"""cuDNN's graphs, by nvidia-cudnn-frontend: planned once for each call that differs, and run on the current stream.

What cuDNN has no engine for is left to our own kernels, and cuDNN is not asked for it again.
"""

import logging
from importlib.metadata import version
from threading import Lock, local
from typing import Any, Final, Protocol, TypeAlias

from ..backend import Array
from .launch import Driver, driver

__all__ = ["OWN", "TYPES", "Call", "Layout", "Lengths", "Plan", "fill", "status"]

_log = logging.getLogger("pullback")

Lengths: TypeAlias = tuple[int, ...]
Layout: TypeAlias = tuple[Lengths, Lengths]
"""The lengths of an array's axes, and the steps along them, in cuDNN's order of axes."""

OWN: Final = "pullback's own kernels"
TYPES: Final = {"float": "FLOAT", "float16": "HALF", "bfloat16": "BFLOAT16"}
"""cuDNN's names of types that sources know."""
_ALIGNED: Final = 16
"""The bytes at whose multiples arrays begin, as graphs take for granted."""
_KEPT: Final = 4096
"""Plans that are kept at most."""


class Call(Protocol):
    """What a plan is made for: equal calls share one."""

    def __hash__(self) -> int: ...

    def plan(self, cudnn: Any, handle: Any) -> "Plan | None":
        """A plan; None, or an error of cuDNN's, where there is none."""
        ...


class Plan:
    """A graph of one operation, to which arrays are added in the order in which it is then given them.

    name: of the operation. kind: the type of its arrays, of `TYPES`.
    """

    def __init__(self, cudnn: Any, handle: Any, name: str, kind: str) -> None:
        self._cudnn, self._kind, single = cudnn, kind, cudnn.data_type.FLOAT
        kinds = {"io_data_type": self._type(kind), "intermediate_data_type": single, "compute_data_type": single}
        self.graph = cudnn.pygraph(name=name, handle=handle, **kinds)
        self._tensors: list[Any] = []

    def _type(self, kind: str) -> Any:
        return getattr(self._cudnn.data_type, TYPES[kind])

    def given(self, name: str, layout: Layout, kind: str = "") -> Any:
        """An array of the graph."""
        lengths, steps = layout
        added = self.graph.tensor(
            name=name, dim=list(lengths), stride=list(steps), data_type=self._type(kind or self._kind)
        )
        self._tensors.append(added)
        return added

    def gives(self, result: Any, layout: Layout, kind: str = "") -> None:
        """Have a result of the graph written to an array."""
        lengths, steps = layout
        result.set_output(True)  # one by one: what these methods return is in some versions a copy
        result.set_data_type(self._type(kind or self._kind))
        result.set_dim(list(lengths))
        result.set_stride(list(steps))
        self._tensors.append(result)

    def finish(self, *, barred_notes: list[Any], barred_engines: list[str]) -> None:
        """Choose an engine, none that bears such a note or name. Raises cuDNN's errors where there is none."""
        graph, modes = self.graph, self._cudnn.heur_mode
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([modes.A, modes.FALLBACK])
        if barred_notes:
            graph.deselect_numeric_notes(barred_notes)
        if barred_engines:
            graph.deselect_engines(barred_engines)
        graph.check_support()
        graph.build_plans()
        self._numbers = [tensor.get_uid() for tensor in self._tensors]
        self.workspace = max(1, graph.get_workspace_size())

    def run(self, handle: Any, addresses: list[int], workspace: int) -> None:
        """Fill the results, whose addresses are the last ones."""
        self.graph.execute(dict(zip(self._numbers, addresses, strict=True)), workspace, handle=handle)


_plans: dict[Any, Plan | None] = {}
_building = Lock()
_handles = local()


def fill(call: Call, arrays: list[Array]) -> bool:
    """Fill the results of a call, the last of its arrays, and say whether that was possible."""
    now = driver()
    if now.cudnn is None:
        return False
    addresses = [now.address(a) for a in arrays]
    if any(address % _ALIGNED for address in addresses):
        return False
    device, stream = now.place()
    plan = _plan(now, device, stream, call)
    if plan is None:
        return False
    workspace = now.xp.empty((plan.workspace,), now.xp.uint8)
    try:
        plan.run(_handle(now, device, stream), addresses, now.address(workspace))
    except Exception as error:  # what graphs fail with differs from version to version
        _log.warning("cuDNN fails in %s, which is left to %s from now on: %s", call, OWN, error)
        _plans[now, device, call] = None
        return False
    return True


def _plan(now: Driver, device: int, stream: int, call: Call) -> Plan | None:
    """The plan for a call; None where cuDNN has none."""
    key = now, device, call
    try:
        return _plans[key]
    except KeyError:
        pass
    with _building:
        if key not in _plans:
            if len(_plans) >= _KEPT:
                _plans.clear()
            _plans[key] = None
            try:
                _plans[key] = call.plan(now.cudnn, _handle(now, device, stream))
            except Exception as error:  # what graphs are refused with differs from version to version
                _log.info("cuDNN does not take %s: %s", call, error)
        return _plans[key]


def _handle(now: Driver, device: int, stream: int) -> Any:
    """This thread's handle on a device, set to a stream."""
    known = _handles.__dict__.setdefault("known", {})
    handle = known.get((now, device))
    if handle is None:
        handle = known[now, device] = now.cudnn.create_handle()
    now.cudnn.set_stream(handle=handle, stream=stream)
    return handle


def status() -> str:
    """What runs on graphs: cuDNN and its version, or our own kernels, for people to read."""
    cudnn = driver().cudnn
    if cudnn is None:
        return OWN
    return f"cuDNN {cudnn.backend_version_string()} through nvidia-cudnn-frontend {version('nvidia-cudnn-frontend')}"
