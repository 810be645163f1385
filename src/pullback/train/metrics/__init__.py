"""Metrics: what a model is judged by, of one call or gathered batch by batch.

Predictions and targets are Tensors, arrays or nested lists; classes lie along the last axis. Each metric has `update`,
`compute` and `reset`, and `merge` to take in what another process has gathered.
"""

from .accuracy import Accuracy, TopKAccuracy, accuracy, top_k_accuracy
from .arrays import Metric
from .confusion import F1, ConfusionMatrix, Precision, Recall, confusion_matrix, f1, precision, recall
from .naming import by_name
from .perplexity import Perplexity, perplexity
from .ranking import ROCAUC, AveragePrecision, average_precision, roc_auc
from .regression import (
    MAE,
    MSE,
    R2,
    RMSE,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    root_mean_squared_error,
)

__all__ = [
    "F1", "MAE", "MSE", "R2", "RMSE", "ROCAUC", "Accuracy", "AveragePrecision", "ConfusionMatrix", "Metric",
    "Perplexity", "Precision", "Recall", "TopKAccuracy", "accuracy", "average_precision", "by_name",
    "confusion_matrix", "f1", "mean_absolute_error", "mean_squared_error", "perplexity", "precision", "r2_score",
    "recall", "roc_auc", "root_mean_squared_error", "top_k_accuracy",
]  # fmt: skip
