"""PyTorch's side of the GPU benchmarks: eager and compiled, with autocast and fused updates."""

import contextlib
import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from timing import Side
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["Training", "adam", "copy_bandwidth", "forget", "perceptron", "release_memory", "state_of"]


def perceptron(sizes: Sequence[int]) -> nn.Sequential:
    """Affine maps with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def state_of(model: nn.Module) -> dict[str, np.ndarray]:
    """A copy of the weights on the host, by name: what every side starts from."""
    return {name: value.detach().cpu().numpy().copy() for name, value in model.state_dict().items()}


class Training:
    """Training steps of one network.

    model: with its first weights; each side trains a copy. batch: host arrays, images with channels last, as they stay
        in memory.
    """

    def __init__(self, model: nn.Module, batch: Sequence[np.ndarray], dtype: str, device: str) -> None:
        self.model, self.dtype, self.device = model, dtype, device
        self.x, self.y = (torch.from_numpy(a).to(device) for a in batch)
        if self.x.ndim == 4:
            self.x = self.x.permute(0, 3, 1, 2)  # a view, which PyTorch takes for the format channels_last
        torch.backends.cudnn.benchmark = True

    def side(self, compiled: Callable[[Any], Any] | None = None) -> Side:
        """A training step. compiled: `torch.compile` with its options, for forward and loss (and so for backward)."""
        model = copy.deepcopy(self.model).to(self.device)
        if self.x.ndim == 4:
            model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)

        def loss_of(x: Any, y: Any) -> Any:
            logits = model(x)
            return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))

        forward = loss_of if compiled is None else compiled(loss_of)

        def step() -> Any:
            if compiled is not None:
                torch.compiler.cudagraph_mark_step_begin()
            optimizer.zero_grad()
            with self.autocast():
                loss = forward(self.x, self.y)
            loss.backward()
            optimizer.step()
            return loss

        return Side(step, _wait_for(self.device), sum(p.numel() for p in model.parameters()))

    def autocast(self) -> Any:
        if self.dtype == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device, dtype=getattr(torch, self.dtype))

    def flops(self) -> int:
        """The operations of matrix products, convolutions and attention in one step, as PyTorch counts them."""
        step = self.side().run
        with FlopCounterMode(display=False) as counter:
            step()
        return int(counter.get_total_flops())


def adam(arrays: Sequence[np.ndarray], device: str, compiled: Callable[[Any], Any] | None = None) -> Side:
    """Adam's step over parameters of these shapes, whose gradients are these arrays: fused, or as it is compiled."""
    parameters = [nn.Parameter(torch.zeros(a.shape, device=device)) for a in arrays]
    for p, a in zip(parameters, arrays, strict=True):
        p.grad = torch.from_numpy(a).to(device)
    options = {"fused": True} if compiled is None else {"foreach": True, "capturable": device == "cuda"}
    optimizer = torch.optim.Adam(parameters, **options)
    step = optimizer.step if compiled is None else compiled(optimizer.step)
    return Side(step, _wait_for(device), sum(p.numel() for p in parameters))


def copy_bandwidth(size: int, device: str, measure: Callable[[Side], float]) -> float:
    """The bytes read and written each second when so many are copied on the device."""
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    seconds = measure(Side(lambda: target.copy_(source), _wait_for(device)))
    return 2 * source.numel() * 4 / seconds


def forget() -> None:
    """Let go of what was compiled."""
    torch._dynamo.reset()


def release_memory() -> None:
    """Give unused memory back to the device."""
    torch.cuda.empty_cache()


def _wait_for(device: str) -> Callable[[], Any]:
    return torch.cuda.synchronize if device == "cuda" else lambda: None
