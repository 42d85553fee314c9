import pathlib

import pytest

from experiments.options import parse, parse_seeds


def options(*arguments):
    return parse("stitching", "What it does.", ("quick", "small"), list(arguments))


def test_the_first_preset_and_a_folder_of_its_own_are_the_defaults():
    found = options()
    assert (found.preset, found.data, found.seed, found.resume) == ("quick", None, 0, False)
    assert found.out == pathlib.Path("runs/stitching-quick-seed0")


def test_data_and_seed_are_part_of_the_default_folder_and_need_no_quoting():
    found = options("--preset", "small", "--data", "npz:a/b.npz", "--seed", "3", "--resume")
    assert found.out == pathlib.Path("runs/stitching-small-npz_a_b.npz-seed3")
    assert found.resume


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "quik"), "invalid choice: 'quik'"),
        (("--seed", "-1"), "--seed is -1, expected 0 to 4294967295"),
        (("--seed", "4294967296"), "--seed is 4294967296, expected 0 to 4294967295"),
        (("--seed", "one"), "invalid int value: 'one'"),
        (("--sed", "1", "--nothing"), "unrecognized arguments"),
        (("--res",), "unrecognized arguments: --res"),
    ],
)
def test_wrong_options_end_with_a_line_that_names_them(capsys, arguments, message):
    with pytest.raises(SystemExit) as end:
        options(*arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("count", ["0", "-1", "two", "1.5"])
def test_a_number_of_seeds_that_is_none_is_refused(count, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["seeds", "--seeds", count])
    with pytest.raises(SystemExit):
        parse_seeds("subspace", "", ["quick", "small"], "small", 5)
    assert f"--seeds: is {count}, expected a whole number of at least 1" in capsys.readouterr().err
