"""Recurrent networks: one layer in one direction over whole sequences, and its cell, one step."""

from .gru import gru, gru_cell
from .lstm import lstm, lstm_cell
from .rnn import rnn, rnn_cell

__all__ = ["gru", "gru_cell", "lstm", "lstm_cell", "rnn", "rnn_cell"]
