"""JAX's side of the GPU benchmarks: the same networks as functions of PyTorch's weights, jitted whole steps."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from timing import Side

__all__ = ["adam", "forget", "gpt", "perceptron", "resnet", "training"]

Weights = dict[str, Any]
"""Arrays by PyTorch's names."""

Forward = Callable[[Weights, Weights, Any, Any], tuple[Any, Weights]]
"""(trained weights, other state, input, dtype) to the logits and the other state's new values."""


def perceptron(weights: Weights, kept: Weights, x: Any, dtype: Any) -> tuple[Any, Weights]:
    """Affine maps with ReLU between them."""
    x = x.astype(dtype)
    names = sorted({name.partition(".")[0] for name in weights}, key=int)
    for name in names:
        x = _linear(weights, name, x)
        x = x if name == names[-1] else jax.nn.relu(x)
    return x, kept


def resnet(weights: Weights, kept: Weights, x: Any, dtype: Any) -> tuple[Any, Weights]:
    """A residual network of bottlenecks, by torchvision's names."""
    kept = dict(kept)

    def convolved(x: Any, name: str, stride: int = 1) -> Any:
        kernel = weights[f"{name}.weight"].astype(dtype)
        around = kernel.shape[0] // 2
        return lax.conv_general_dilated(
            *(x, kernel, (stride, stride), ((around, around),) * 2),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def normalized(x: Any, name: str) -> Any:
        wide = x.astype(jnp.float32)
        mean, variance = _moments(wide, (0, 1, 2))
        count = x.size // x.shape[-1]
        for what, value in (("mean", mean), ("var", variance * count / (count - 1))):
            key = f"{name}.running_{what}"
            kept[key] = 0.9 * kept[key] + 0.1 * lax.stop_gradient(value)
        scale = weights[f"{name}.weight"] * lax.rsqrt(variance + 1e-5)
        return ((wide - mean) * scale + weights[f"{name}.bias"]).astype(dtype)

    def block(x: Any, name: str, stride: int) -> Any:
        y = jax.nn.relu(normalized(convolved(x, f"{name}.conv1"), f"{name}.bn1"))
        y = jax.nn.relu(normalized(convolved(y, f"{name}.conv2", stride), f"{name}.bn2"))
        y = normalized(convolved(y, f"{name}.conv3"), f"{name}.bn3")
        if f"{name}.downsample.0.weight" in weights:
            x = normalized(convolved(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
        return jax.nn.relu(x + y)

    x = jax.nn.relu(normalized(convolved(x.astype(dtype), "conv1", 2), "bn1"))
    around = ((0, 0), (1, 1), (1, 1), (0, 0))
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), around)
    for stage in range(1, 5):
        blocks = sorted({int(name.split(".")[1]) for name in weights if name.startswith(f"layer{stage}.")})
        for number in blocks:
            x = block(x, f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1)
    return _linear(weights, "fc", x.astype(jnp.float32).mean((1, 2)).astype(dtype)), kept


def gpt(weights: Weights, kept: Weights, tokens: Any, dtype: Any, heads: int) -> tuple[Any, Weights]:
    """The decoder of GPT-2, whose table of tokens is also that of the output."""
    table = weights["lm_head.weight"]
    x = table.astype(dtype)[tokens] + weights["transformer.wpe.weight"].astype(dtype)[: tokens.shape[1]]
    fast = jax.default_backend() == "gpu" and dtype == jnp.bfloat16

    def normalized(x: Any, name: str) -> Any:
        wide = x.astype(jnp.float32)
        mean, variance = (found[..., None] for found in _moments(wide, -1))
        y = (wide - mean) * lax.rsqrt(variance + 1e-5)
        return (y * weights[f"{name}.weight"] + weights[f"{name}.bias"]).astype(dtype)

    for number in range(len([name for name in weights if name.endswith(".ln_1.weight")])):
        name = f"transformer.h.{number}"
        qkv = _linear(weights, f"{name}.attn.c_attn", normalized(x, f"{name}.ln_1"))
        q, k, v = (part.reshape(*x.shape[:2], heads, -1) for part in jnp.split(qkv, 3, axis=-1))
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation="cudnn" if fast else "xla")
        x = x + _linear(weights, f"{name}.attn.c_proj", y.reshape(x.shape))
        y = jax.nn.gelu(_linear(weights, f"{name}.mlp.c_fc", normalized(x, f"{name}.ln_2")), approximate=True)
        x = x + _linear(weights, f"{name}.mlp.c_proj", y)
    return normalized(x, "transformer.ln_f") @ table.astype(dtype).T, kept


def _linear(weights: Weights, name: str, x: Any) -> Any:
    # In float32 as the others have it; JAX would take tf32.
    precision = "highest" if x.dtype == jnp.float32 else None
    y = jnp.matmul(x, weights[f"{name}.weight"].astype(x.dtype).T, precision=precision)
    return y + weights[f"{name}.bias"].astype(x.dtype)


def _moments(x: Any, axes: Any) -> tuple[Any, Any]:
    """Mean and variance in one pass, as JAX's libraries of layers take them."""
    mean = x.mean(axes)
    return mean, jnp.maximum((x * x).mean(axes) - mean * mean, 0.0)


def training(
    forward: Forward, state: Mapping[str, np.ndarray], batch: Sequence[np.ndarray], dtype: str, lr: float = 1e-3
) -> Side:
    """A training step by AdamW, jitted as one, that takes over the memory of the weights it is given.

    state: PyTorch's, by its names. batch: host arrays, images with channels last.
    """
    kept = {name: jnp.asarray(value) for name, value in state.items() if ".running_" in name}
    # The table of tokens stands there under two names.
    beside = {name for name in state if name in kept or name.endswith(("num_batches_tracked", ".wte.weight"))}
    weights = {name: _arranged(value) for name, value in state.items() if name not in beside}
    x, y = map(jnp.asarray, batch)

    def loss_of(weights: Weights, kept: Weights, x: Any, y: Any) -> tuple[Any, Weights]:
        logits, new = forward(weights, kept, x, jnp.dtype(dtype))
        logits = logits.reshape(-1, logits.shape[-1]).astype(jnp.float32)
        right = jnp.take_along_axis(logits, y.reshape(-1, 1), axis=1)[:, 0]
        return (jax.nn.logsumexp(logits, axis=1) - right).mean(), new

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(weights: Weights, kept: Weights, moments: Any, count: Any, x: Any, y: Any) -> Any:
        (loss, kept), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, kept, x, y)
        weights = {name: value * (1 - lr * 1e-2) for name, value in weights.items()}
        weights, moments = _adam(weights, gradients, moments, count, lr)
        return weights, kept, moments, count + 1, loss

    # All that a call gives is there at once, so the last of it is waited for.
    held: list[Any] = [weights, kept, _zeros_twice(weights), jnp.ones((), jnp.float32)]

    def step() -> Any:
        held[:] = update(*held[:4], x, y)
        return held[4]

    return Side(step, lambda: held[-1].block_until_ready(), sum(value.size for value in weights.values()))


def _arranged(value: np.ndarray) -> Any:
    """Kernels of convolutions as JAX has them where channels are last."""
    return jnp.asarray(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value)


def adam(arrays: Sequence[np.ndarray], lr: float = 1e-3) -> Side:
    """Adam's step over parameters of these shapes, whose gradients are these arrays, jitted and in place."""
    gradients = [jnp.asarray(a) for a in arrays]
    weights = [jnp.zeros_like(g) for g in gradients]
    held: list[Any] = [weights, _zeros_twice(weights), jnp.ones((), jnp.float32)]

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(weights: Any, moments: Any, count: Any, gradients: Any) -> Any:
        weights, moments = _adam(weights, gradients, moments, count, lr)
        return weights, moments, count + 1

    def step() -> None:
        held[:] = update(*held, gradients)

    return Side(step, lambda: held[-1].block_until_ready(), sum(g.size for g in gradients))


def _zeros_twice(tree: Any) -> tuple[Any, Any]:
    return tuple(jax.tree.map(jnp.zeros_like, tree) for _ in range(2))  # type: ignore[return-value]


def _adam(weights: Any, gradients: Any, moments: Any, count: Any, lr: float) -> tuple[Any, Any]:
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradients)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], gradients)
    c1, c2 = 1 - 0.9**count, 1 - 0.999**count
    step = jax.tree.map(lambda p, m, v: p - lr * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), weights, first, second)
    return step, (first, second)


def forget() -> None:
    """Let go of what was compiled."""
    jax.clear_caches()
