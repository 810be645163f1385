"""Other people's formats: safetensors; and files that are whole or not there."""

from .safetensors import load_safetensors, safetensors_metadata, save_safetensors

__all__ = ["load_safetensors", "safetensors_metadata", "save_safetensors"]
