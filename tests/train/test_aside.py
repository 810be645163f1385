import os
from contextlib import suppress

import pytest

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


def test_a_link_is_followed_and_a_file_keeps_its_mode(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    with written_aside(tmp_path / "link") as aside:
        aside.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with written_aside(tmp_path / "pipe") as aside:
        aside.write_text("all")
    assert os.read(reader, 10) == b"all"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_may_be_given_by_a_link(tmp_path, there):
    if there:
        (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with written_aside(tmp_path / "link") as aside:
        aside.mkdir()
        (aside / "part").write_text("all")
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path / "real") == ["part"]


def test_an_error_names_the_place_that_was_given(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, written_aside(tmp_path / "run") as aside:
        aside.open()
    assert caught.value.filename == str(tmp_path / "run")
