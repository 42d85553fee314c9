"""One device, eight, and two processes of four do the same work; a run goes on after one process was killed."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest


def begin(out, devices: int, *arguments) -> subprocess.Popen:
    """Starts the work with so many devices."""
    flags = os.environ.get("XLA_FLAGS", "") + f" --xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "tests.hosts.work", str(out), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def both(out, *arguments) -> list[subprocess.Popen]:
    """Starts two processes that know each other, with four devices each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [begin(out, 4, "--process", index, "--port", port, *arguments) for index in range(2)]


def end(*processes: subprocess.Popen) -> list[str]:
    """Waits for processes that have to end well, and returns what they said."""
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(said)
    return said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hosts")


@pytest.fixture(scope="module")
def found(folder):
    """What one device, eight devices and two processes found, by name."""
    names = ("one", "eight", "two")
    one, eight, two = (folder / f"{name}.npz" for name in names)
    end(begin(one, 1), begin(eight, 8))
    said = end(*both(two))
    for index, text in enumerate(said):
        assert f"process {index} of 2" in text
        assert f"rows {2 * index} to {2 * index + 1} of 4 on axis 'pop'" in text
        assert "refused: work: batch is 16 in process 0 and 17 in process 1" in text
    assert ["writes the results" in text for text in said] == [True, False]
    loaded = {}
    for name, path in zip(names, (one, eight, two), strict=True):
        with np.load(path) as arrays:
            loaded[name] = dict(arrays)
    return loaded


@pytest.mark.parametrize("where", ["eight", "two"])
def test_children_are_the_same_bits_and_scores_agree(found, where):
    one, other = ({k: v for k, v in found[w].items() if k != "sent"} for w in ("one", where))
    assert other.keys() == one.keys()
    assert len(np.unique(one["children 1"], axis=0)) == 9
    for name, wanted in one.items():
        if name.startswith("children"):
            np.testing.assert_array_equal(other[name].view(np.uint32), one["children 1"].view(np.uint32), name)
        elif "params" in name:
            np.testing.assert_allclose(other[name], wanted, rtol=1e-5, atol=1e-6, err_msg=name)
        elif name == "fits":
            np.testing.assert_allclose(other[name], wanted, rtol=1e-4, atol=1e-4, err_msg=name)
        else:
            np.testing.assert_allclose(other[name], wanted, rtol=1e-5, atol=1e-4 * (name == "moments"), err_msg=name)


def test_what_a_generation_sends_does_not_grow_with_the_parameters(found):
    assert found["one"]["sent"].tolist() == [0, 0]
    small, large = found["eight"]["sent"].tolist()
    assert 0 < small == large < 10_000


def test_a_run_goes_on_after_one_of_two_processes_was_killed(found, folder):
    cut, out = folder / "cut", folder / "cut.npz"
    processes = both(out, "--search", cut, "--kill", 2)
    assert processes[1].wait(timeout=120) < 0
    processes[0].kill()
    for process in processes:
        process.communicate()
    end(*both(out, "--search", cut))
    with np.load(out) as came:
        assert came.files == [name for name in found["two"] if name.startswith("search")]
        for name in came.files:
            np.testing.assert_array_equal(came[name], found["two"][name], err_msg=name)
    assert sorted(path.name for path in cut.glob("step_*")) == ["step_00000003", "step_00000004"]
