"""Entries of pooling."""

import numpy as np

from .entry import Drawn, Entry, Generator, images, pick


def _each(rng: Generator, axes: int, draw):
    """One number for all axes, or one for each."""
    return pick(rng, draw(), tuple(draw() for _ in range(axes)))


def _whole(rng: Generator, least: int, most: int) -> int:
    return int(rng.integers(least, most + 1))


def _sliding(rng: Generator, axes: int, dilated: bool) -> dict:
    kernel = tuple(_whole(rng, 1, 3) for _ in range(axes))
    kernel = pick(rng, kernel, kernel[0]) if axes > 1 else kernel[0]  # PyTorch's LPPool1d takes no tuple
    smallest = kernel if isinstance(kernel, int) else min(kernel)
    options = {
        "kernel_size": kernel,
        "stride": pick(rng, None, _each(rng, axes, lambda: _whole(rng, 1, 4))),
        "padding": _each(rng, axes, lambda: _whole(rng, 0, smallest // 2)),
        "ceil_mode": pick(rng, True, False),
    }
    if dilated:
        options["dilation"] = _each(rng, axes, lambda: _whole(rng, 1, 2))
    return options


def _image(rng: Generator, axes: int, most: int = 8) -> np.ndarray:
    return images(rng, _whole(rng, 1, 4), axes, least=5, most=most if axes < 3 else 6)


def _max(axes: int):
    def draw(rng: Generator) -> Drawn:
        options = {**_sliding(rng, axes, True), "return_indices": pick(rng, True, False)}
        x = _image(rng, axes)
        return Drawn(options, (np.round(2 * x) if rng.random() < 0.3 else x,))  # rounded, many tie

    return draw


def _avg(axes: int):
    def draw(rng: Generator) -> Drawn:
        options = {**_sliding(rng, axes, False), "count_include_pad": pick(rng, True, False)}
        if axes > 1:
            options["divisor_override"] = pick(rng, None, None, 3)
        return Drawn(options, (_image(rng, axes),))

    return draw


def _adaptive(axes: int, indices: bool):
    def draw(rng: Generator) -> Drawn:
        one = _whole(rng, 1, 9)
        several = tuple(pick(rng, None, _whole(rng, 1, 9)) if axes > 1 else one for _ in range(axes))
        options = {"output_size": pick(rng, one, several)}
        if indices:
            options["return_indices"] = pick(rng, True, False)
        return Drawn(options, (_image(rng, axes),))

    return draw


def _norm(axes: int):
    def draw(rng: Generator) -> Drawn:
        sizes = _sliding(rng, axes, False)
        sizes.pop("padding")
        p = pick(rng, 1, 2, 2.0, 3, 4, 1.5)
        x = _image(rng, axes)
        return Drawn({"norm_type": p, **sizes}, (x if p in (2, 4) else np.abs(x) + 0.1,))

    return draw


def _unpool(axes: int):
    def draw(rng: Generator) -> Drawn:
        size, x = _whole(rng, 1, 3), _image(rng, axes)
        size = pick(rng, size, tuple(_whole(rng, 1, 3) for _ in range(axes)))
        each = (size,) * axes if isinstance(size, int) else size
        lengths = [n * k for n, k in zip(x.shape[1:-1], each, strict=True)]
        order = [rng.permutation(np.prod(lengths))[: np.prod(x.shape[1:-1])] for _ in range(x.shape[0] * x.shape[-1])]
        indices = np.moveaxis(np.reshape(order, (x.shape[0], x.shape[-1], *x.shape[1:-1])), 1, -1)
        return Drawn({"kernel_size": size, "stride": pick(rng, None, size)}, (x, indices))

    return draw


def _fractional(axes: int):
    def draw(rng: Generator) -> Drawn:
        x = images(rng, _whole(rng, 1, 3), axes, least=7, most=9)
        kernel = _each(rng, axes, lambda: _whole(rng, 1, 3))
        samples = rng.uniform(0, 0.5, (x.shape[0], x.shape[-1], axes))  # the test moves them, to below 1
        size = {"output_size": _each(rng, axes, lambda: _whole(rng, 1, 3)), "output_ratio": None}
        ratio = {"output_size": None, "output_ratio": _each(rng, axes, lambda: pick(rng, 0.4, 0.5, 0.6))}
        options = {"kernel_size": kernel, **pick(rng, size, ratio), "return_indices": pick(rng, True, False)}
        return Drawn({**options, "_random_samples": samples}, (x,))

    return draw


# All but the norms are linear where they are smooth: their second derivatives are zero.
ENTRIES = [
    entry
    for n in (1, 2, 3)
    for entry in (
        Entry(f"MaxPool{n}d", _max(n), channels=(0,)),
        Entry(f"AvgPool{n}d", _avg(n), channels=(0,)),
        Entry(f"AdaptiveMaxPool{n}d", _adaptive(n, True), channels=(0,)),
        Entry(f"AdaptiveAvgPool{n}d", _adaptive(n, False), channels=(0,)),
        Entry(f"LPPool{n}d", _norm(n), channels=(0,)),
        Entry(
            f"MaxUnpool{n}d",
            _unpool(n),
            channels=(0, 1),
            differs="of elements with one index the last one has the gradient; with PyTorch each of them has it",
        ),
        *([Entry(f"FractionalMaxPool{n}d", _fractional(n), channels=(0,))] if n > 1 else []),
    )
]
