"""What the package logs while a command runs, for the terminal."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["noted"]


class _Keeper(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def noted() -> Iterator[list[str]]:
    """The messages that are logged in a `with` block, for saying them once nothing can go wrong any more."""
    logger, keeper = logging.getLogger("pullback"), _Keeper()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(keeper)
    try:
        yield keeper.messages
    finally:
        logger.removeHandler(keeper)
        logger.setLevel(level)
