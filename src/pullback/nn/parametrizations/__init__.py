"""Parametrizations: parameters that are computed from others, and the classic ones."""

from .registration import (
    ParametrizationList,
    is_parametrized,
    register_parametrization,
    remove_parametrizations,
)
from .spectral_norm import spectral_norm
from .weight_norm import weight_norm

__all__ = [
    "ParametrizationList", "is_parametrized", "register_parametrization", "remove_parametrizations", "spectral_norm",
    "weight_norm",
]  # fmt: skip
