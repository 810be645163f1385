"""Attention on cuDNN: that of float16 and bfloat16 with no mask but a causal one, and without dropout.

Masks are left to our own kernels: a row that attends to nothing is 0 there, and in cuDNN whatever comes of infinity
less infinity. So is dropout, whose numbers would be others.
"""

from math import isfinite
from typing import Any, Final, NamedTuple

from ..backend import Array
from .cudnn_graphs import OWN, Layout, Lengths, Plan, fill
from .cudnn_graphs import status as graphs
from .launch import driver

__all__ = ["attend", "layout", "pull", "status"]

_SINCE: Final = 91500
"""The first version of cuDNN that is asked: those before have known errors, in CUDA graphs among other places."""
_TILE: Final = 128
"""What lengths are multiples of in backward graphs: they have made NaN of what is behind a tile that is not full."""
_PACK: Final = 8
"""What widths and steps are multiples of: 16 bytes."""
_MOST_WORKSPACE: Final = 256 << 20
"""The bytes that a graph may want: one whose results do not differ from run to run has a matrix of weights whole."""
_IN_PYTHON: Final = ["sdpa_fwd_", "sdpa_bwd_"]
"""What the frontend calls its own engines: they need PyTorch, and a compiler that is slow."""


class _Call(NamedTuple):
    """What a plan is made for."""

    forward: bool
    kind: str
    layouts: tuple[Layout, ...]
    """Of queries, keys and values: batches, heads, rows, columns; then of what has the place of results and gradients.

    Logarithms are contiguous.
    """
    scale: float
    reach: int | None
    """Query i attends to the keys up to number i + reach; None is to all."""

    def plan(self, cudnn: Any, handle: Any) -> Plan | None:
        if not self._is_sound() or cudnn.backend_version() < _SINCE:
            return None
        query, key, value, y, *others = self.layouts
        (batches, heads, rows, _), _ = query
        logarithms = (batches, heads, rows, 1), (heads * rows, rows, 1, 1)
        plan = Plan(cudnn, handle, "attention" if self.forward else "attention_backward", self.kind)
        given = {name: plan.given(name, layout) for name, layout in zip("qkv", (query, key, value), strict=True)}
        options = {"attn_scale": self.scale, **self._band(cudnn)}
        if self.forward:
            result, stats = plan.graph.sdpa(name="sdpa", **given, generate_stats=True, **options)
            plan.gives(result, y)
            plan.gives(stats, logarithms, "float")
        else:
            of_y, *gradients = others
            given |= {"o": plan.given("o", y), "dO": plan.given("dO", of_y)}
            given["stats"] = plan.given("stats", logarithms, "float")
            results = plan.graph.sdpa_backward(
                name="sdpa_backward", **given, use_deterministic_algorithm=True, **options
            )
            for result, layout in zip(results, gradients, strict=True):
                plan.gives(result, layout)
        plan.finish(barred_notes=[], barred_engines=_IN_PYTHON)
        if plan.workspace > _MOST_WORKSPACE:
            raise MemoryError(f"its workspace would have {plan.workspace} bytes")
        return plan

    def _is_sound(self) -> bool:
        """Whether cuDNN gives what our own kernels do."""
        (query, _), (key, _), (value, _), *_ = self.layouts
        if self.reach is not None and self.reach < 0:
            return False  # there are rows that attend to nothing
        if not (self.scale > 0 and isfinite(self.scale)):
            return False  # the greatest score is then not that of the greatest product
        if query[3] != value[3] or query[3] % _PACK:
            return False
        if any(step < 1 or step % _PACK for _, steps in self.layouts for step in steps[:3]):
            return False  # repeated, turned round, or between multiples of 16 bytes
        return self.forward or not (query[2] % _TILE or key[2] % _TILE)

    def _band(self, cudnn: Any) -> dict[str, Any]:
        """How far queries reach, as cuDNN says it: diagonals end in the last corner, or begin in the first one."""
        rows, keys = self.layouts[0][0][2], self.layouts[1][0][2]
        if self.reach is None or self.reach >= keys - 1:
            return {}
        if 0 < self.reach == keys - rows:
            return {"diagonal_alignment": cudnn.diagonal_alignment.BOTTOM_RIGHT, "diagonal_band_right_bound": 0}
        return {"diagonal_alignment": cudnn.diagonal_alignment.TOP_LEFT, "diagonal_band_right_bound": self.reach}


def attend(kind: str, arrays: list[Array], layouts: tuple[Layout, ...], scale: float, reach: int | None) -> bool:
    """Fill a result and its logarithms, and say whether that was possible.

    kind: the arrays' type. arrays: queries, keys, values, the result, and the logarithms of the sums of exponentials
        (float32, contiguous). layouts: of all but the logarithms: batches, heads, rows, columns. There may be several
        heads of queries, neighbours, for each of keys. reach: query i attends to the keys up to number i + reach.
    """
    return fill(_Call(True, kind, layouts, scale, reach), arrays)


def pull(kind: str, arrays: list[Array], layouts: tuple[Layout, ...], scale: float, reach: int | None) -> bool:
    """Fill the gradients of queries, keys and values, and say whether that was possible; see `attend`.

    arrays: queries, keys, values, the result, its gradient, logarithms, and where the three gradients go.
    """
    return fill(_Call(False, kind, layouts, scale, reach), arrays)


def layout(lengths: Lengths, steps: Lengths) -> Layout:
    """How an array lies, with steps that mean something along axes of one element too."""
    whole = max((n * step for n, step in zip(lengths, steps, strict=True) if n > 1), default=1)
    return lengths, tuple(whole if n == 1 else step for n, step in zip(lengths, steps, strict=True))


def status() -> str:
    """What attention of float16 and bfloat16 runs on, for people to read."""
    cudnn = driver().cudnn
    if cudnn is None or cudnn.backend_version() >= _SINCE:
        return graphs()
    return f"{OWN}, as cuDNN {cudnn.backend_version_string()} is older than {_SINCE // 10000}.{_SINCE % 10000 // 100}"
