"""`pullback train --precision`."""

import json
from pathlib import Path

import pytest

from pullback.cli import main


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "tf32"])
def test_a_network_is_trained_in_mixed_precision(precision, capsys):
    if precision == "bfloat16":
        pytest.importorskip("ml_dtypes")
    assert main(["train", "digits", "--epochs", "3", "--precision", precision, "--out", "run"]) == 0
    assert f"in batches of 32, in {precision}, on numpy (cpu)" in capsys.readouterr().out
    summary = json.loads(Path("run", "summary.json").read_text())
    assert summary["precision"] == precision
    assert summary["test_accuracy"] > 0.9


def test_a_backend_without_the_type_is_named_in_one_line(capsys):
    arguments = ["train", "digits", "--epochs", "1", "--precision", "bfloat16", "--backend", "array_api_strict"]
    assert main([*arguments, "--quiet"]) != 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "the array_api_strict backend has no data type 'bfloat16'" in line
