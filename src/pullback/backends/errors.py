"""What can go wrong between array libraries."""

__all__ = ["BackendMismatch", "BackendUnavailable"]


class BackendUnavailable(RuntimeError):
    """A backend was asked for that cannot be used here; the message says why and what mends it."""


class BackendMismatch(TypeError):
    """Arrays of different backends or devices met in one call; the message names both and the move."""
