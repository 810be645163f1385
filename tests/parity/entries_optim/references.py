"""Optimizers that PyTorch has none of, written down from their papers, in NumPy."""

from typing import ClassVar

import numpy as np


class Reference:
    """Groups of PyTorch's parameters, updated in NumPy."""

    def __init__(self, groups, **options):
        self.param_groups = [{**self.defaults, **options, **group} for group in groups]
        self.state = {}

    def step(self):
        import torch

        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        g = p.grad.numpy() * (-1 if group["maximize"] else 1)
                        state = self.state.setdefault(p, {"step": 0, **{k: np.zeros_like(g) for k in self.names}})
                        state["step"] += 1
                        p.copy_(torch.from_numpy(np.asarray(self.updated(p.numpy().copy(), g, state, group))))


class Lion(Reference):
    """Chen et al. 2023, algorithm 2."""

    defaults: ClassVar = {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0, "maximize": False}
    names = ("exp_avg",)

    def updated(self, theta, g, state, group):
        beta1, beta2 = group["betas"]
        c = beta1 * state["exp_avg"] + (1 - beta1) * g
        theta = theta - group["lr"] * (np.sign(c) + group["weight_decay"] * theta)
        state["exp_avg"] = beta2 * state["exp_avg"] + (1 - beta2) * g
        return theta.astype(g.dtype)


class LAMB(Reference):
    """You et al. 2020, algorithm 2, with the identity as its scaling function."""

    defaults: ClassVar = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 1e-2, "maximize": False}
    names = ("exp_avg", "exp_avg_sq")

    def updated(self, x, g, state, group):
        (beta1, beta2), t = group["betas"], state["step"]
        m = state["exp_avg"] = beta1 * state["exp_avg"] + (1 - beta1) * g
        v = state["exp_avg_sq"] = beta2 * state["exp_avg_sq"] + (1 - beta2) * g**2
        r = (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + group["eps"])
        r = r + group["weight_decay"] * x
        norms = np.linalg.norm(x), np.linalg.norm(r)
        ratio = norms[0] / norms[1] if all(norms) else 1.0
        return (x - group["lr"] * ratio * r).astype(g.dtype)
