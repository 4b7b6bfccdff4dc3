import os

import pytest

from rnntrade.errors import RnntradeError
from rnntrade.storage import (
    atomic_file,
    move_folder,
    remove_leftovers,
    temporary_folder,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(ValueError, match="halfway"), atomic_file(tmp_path / "a.json") as temporary:
        temporary.write_text("{")
        raise ValueError("halfway")
    assert (tmp_path / "a.json").read_text() == '{\n "old": 1\n}\n'
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_folder_takes_the_place_of_another_whole(tmp_path):
    for text in ("old", "new"):
        with temporary_folder(tmp_path / "step") as folder:
            (folder / "x").write_text(text)
            move_folder(folder, tmp_path / "step" / "key")
    assert (tmp_path / "step" / "key" / "x").read_text() == "new"
    assert os.listdir(tmp_path / "step") == ["key"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / "step" / ".abc.tmp").mkdir(parents=True)
    (tmp_path / "step" / "kept").mkdir()
    (tmp_path / "step" / ".x.json.1.tmp").write_text("")
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path / "step") == ["kept"]


def test_no_permission_is_told_with_its_cure(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with (
        pytest.raises(RnntradeError, match=r"cannot write .*RNNTRADE_HOME"),
        atomic_file(tmp_path / "x") as temporary,
    ):
        temporary.write_text("")
