"""What the tests of the command share: an empty folder to work in, and no pictures but where they are looked at."""

import pytest


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PULLBACK_BACKEND", "PULLBACK_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def few_pictures(request, monkeypatch):
    """Drawing takes longer than training does."""
    if "picture" not in request.node.name:
        monkeypatch.setattr("pullback.cli.train.find_spec", lambda name: None)
