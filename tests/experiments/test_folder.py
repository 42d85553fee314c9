import json
import os

import pytest

from experiments.folder import RunFolder, claim

SETTINGS = {"seed": 0, "sizes": (16, 32)}


def open_and_close(path, settings=None, resume=False):
    with claim(path, settings or SETTINGS, resume) as folder:
        return folder.path


def test_a_folder_is_made_and_keeps_its_settings(tmp_path):
    path = open_and_close(tmp_path / "a" / "run")
    assert json.loads((path / "settings.json").read_text()) == {"seed": 0, "sizes": [16, 32]}


@pytest.mark.smoke
def test_a_run_that_is_there_is_refused_unless_it_is_to_be_continued(tmp_path):
    open_and_close(tmp_path)
    with pytest.raises(SystemExit, match="holds a run already; pass --resume to continue it, or another --out"):
        open_and_close(tmp_path)
    open_and_close(tmp_path, resume=True)


def test_a_run_of_other_settings_is_refused_with_both_values(tmp_path):
    open_and_close(tmp_path)
    with pytest.raises(SystemExit) as end:
        open_and_close(tmp_path, {"seed": 3, "data": "digits", "sizes": [16, 32]}, resume=True)
    assert "data: None there, 'digits' here" in str(end.value)
    assert "seed: 0 there, 3 here" in str(end.value)
    assert "sizes" not in str(end.value)


def test_a_folder_in_use_is_refused_and_says_by_whom(tmp_path):
    with (
        claim(tmp_path, SETTINGS, False),
        pytest.raises(SystemExit, match=f"is in use by process {os.getpid()} on .* since"),
    ):
        open_and_close(tmp_path, resume=True)
    open_and_close(tmp_path, resume=True)


def test_a_run_that_fails_releases_its_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt), claim(tmp_path, SETTINGS, False):
        raise KeyboardInterrupt
    open_and_close(tmp_path, resume=True)


def test_settings_cut_in_two_are_named(tmp_path):
    open_and_close(tmp_path)
    (tmp_path / "settings.json").write_text('{"seed":')
    with pytest.raises(SystemExit, match=r"settings.json cannot be read"):
        open_and_close(tmp_path, resume=True)


def test_phases_keep_their_first_time_and_only_once_they_ended(tmp_path, capsys):
    folder = RunFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt), folder.phase("training"):
        raise KeyboardInterrupt
    assert folder.seconds == {}
    with folder.phase("training"):
        pass
    (tmp_path / "seconds.json").write_text('{"training": 7.5}')
    continued = RunFolder(tmp_path)
    with continued.phase("training"):
        pass
    assert continued.seconds == {"training": 7.5}
    assert capsys.readouterr().out.splitlines() == ["training ..."] * 3
