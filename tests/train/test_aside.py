import os
from contextlib import suppress

from pullback.train.aside import written_aside


def test_a_failure_leaves_neither_files_nor_folders(tmp_path):
    with suppress(KeyboardInterrupt), written_aside(tmp_path / "new" / "run") as aside:
        aside.mkdir()
        (aside / "part").write_text("half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_folder_appears_whole_and_keeps_what_stood_beside_it(tmp_path):
    (tmp_path / "other").write_text("kept")
    (tmp_path / "run").mkdir()
    with written_aside(tmp_path / "run") as aside:
        aside.mkdir()
        (aside / "part").write_text("all")
        assert not (tmp_path / "run" / "part").exists()
    assert sorted(os.listdir(tmp_path)) == ["other", "run"]
    assert (tmp_path / "run" / "part").read_text() == "all"
