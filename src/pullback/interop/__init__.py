"""Other people's formats: safetensors and PyTorch's layout of weights; and files that are whole or not there."""

from .safetensors import load_safetensors, safetensors_metadata, save_safetensors
from .torch import from_torch_state_dict, to_torch_state_dict

__all__ = [
    "from_torch_state_dict", "load_safetensors", "safetensors_metadata", "save_safetensors", "to_torch_state_dict",
]  # fmt: skip
