"""Training: the loop, what it measures, when it stops, and what it reports."""

from ..optim.divergence import Diverged
from . import metrics, report
from .early_stopping import EarlyStopping
from .history import History
from .restarts import Attempt, Restarts, restart
from .trainer import Trainer

__all__ = [
    "Attempt",
    "Diverged",
    "EarlyStopping",
    "History",
    "Restarts",
    "Trainer",
    "metrics",
    "report",
    "restart",
]
