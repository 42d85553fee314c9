import errno
import importlib.metadata
import json
import os
import signal

import pytest

from experiments.folder import RunFolder, claim
from jaxevo import checkpoint, stopping

SETTINGS = {"seed": 0, "sizes": (16, 32)}


def open_and_close(path, settings=None, resume=False):
    with claim(path, settings or SETTINGS, resume) as folder:
        return folder.path


def test_a_folder_is_made_and_keeps_its_settings(tmp_path):
    path = open_and_close(tmp_path / "a" / "run")
    version = importlib.metadata.version("jaxevo")
    assert json.loads((path / "settings.json").read_text()) == {"seed": 0, "sizes": [16, 32], "jaxevo": version}


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


def test_a_run_by_another_version_is_refused_with_both(tmp_path, monkeypatch):
    open_and_close(tmp_path)
    version = importlib.metadata.version("jaxevo")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name} of tomorrow")
    with pytest.raises(SystemExit, match=f"jaxevo: '{version}' there, 'jaxevo of tomorrow' here"):
        open_and_close(tmp_path, resume=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_with_its_phase_and_says_how_to_go_on(tmp_path, capsys, number):
    def run():
        with claim(tmp_path, SETTINGS, False) as folder:
            with folder.phase("one"):
                signal.raise_signal(number)
            raise AssertionError("the run went on")

    with pytest.raises(stopping.Stopped) as end:
        run()
    assert (end.value.code, end.value.signal) == (128 + number, number)
    assert set(RunFolder(tmp_path).seconds) == {"one"}
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith(f"{number.name}: stops as soon as the step under way has ended and is saved; a second")
    assert told[1] == f"{number.name}: stopped, and all that had ended is saved; --resume goes on from there"
    open_and_close(tmp_path, resume=True)


@pytest.mark.parametrize("error", [checkpoint.UnsavedError("no room"), OSError(errno.ENOSPC, "no room")])
def test_a_full_disk_is_told_in_one_line(tmp_path, error):
    with (
        pytest.raises(SystemExit, match=r"no room; (make room, )?--resume goes on from there"),
        claim(tmp_path, SETTINGS, False),
    ):
        raise error


def test_a_folder_in_use_is_refused_and_says_by_whom(tmp_path):
    with (
        claim(tmp_path, SETTINGS, False),
        pytest.raises(SystemExit, match=f"is in use by process {os.getpid()} on .* since"),
    ):
        open_and_close(tmp_path, resume=True)
    open_and_close(tmp_path, resume=True)


def test_what_cannot_be_a_folder_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"file cannot be used: .*; pass another --out"):
        open_and_close(tmp_path / "file")


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
