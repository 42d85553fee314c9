import rich.console

from jaxevo.search import progress


def shown(capsys, terminal, monkeypatch, interval=0.0, visible=True):
    monkeypatch.setattr(progress, "INTERVAL", interval)
    console = rich.console.Console
    monkeypatch.setattr(
        rich.console, "Console", lambda **settings: console(force_terminal=terminal, width=200, **settings)
    )
    with progress.Progress(10, 4, visible) as bar:
        for _ in range(3):
            bar.update(8, {"accuracy": 0.9375, "-cost": None})
    return capsys.readouterr()


def test_without_a_terminal_it_writes_lines_to_standard_error(capsys, monkeypatch):
    captured = shown(capsys, False, monkeypatch)
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0].startswith("generation 5/10: ")
    assert "evaluations/s, 0:00 left, best: accuracy 0.9375" in lines[0]


def test_lines_come_no_more_often_than_the_interval_and_once_at_the_end(capsys, monkeypatch):
    lines = shown(capsys, False, monkeypatch, interval=100.0).err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("generation 7/10: ")


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    captured = shown(capsys, True, monkeypatch)
    assert "7/10" in captured.err
    assert "evaluations/s" in captured.err


def test_it_can_be_silent(capsys, monkeypatch):
    assert shown(capsys, True, monkeypatch, visible=False).err == ""


def test_durations_read_like_a_clock():
    assert [progress.clock(seconds) for seconds in (0.4, 75, 3 * 3600 + 61)] == ["0:00", "1:15", "3:01:01"]
