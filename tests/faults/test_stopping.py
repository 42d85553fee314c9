"""Signals: a second one ends a run at once, whatever it does, and the handlers of others are given back."""

import signal
import subprocess
import sys
import threading

import pytest

from jaxevo import stopping

BUSY = """
import jax
from jaxevo import stopping
with stopping.after_steps("again"):
    endless = jax.jit(lambda x: jax.lax.while_loop(lambda x: x > 0, lambda x: x % 7 + 1, x)).lower(1).compile()
    print("busy", flush=True)
    endless(1).block_until_ready()
"""


def test_a_second_signal_ends_a_run_in_the_middle_of_a_compiled_program():
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout.readline() == "busy\n"
            child.send_signal(signal.SIGINT)
            assert child.stderr.readline().startswith("SIGINT: stops as soon as the step under way has ended")
            assert child.poll() is None
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 128 + signal.SIGTERM
        finally:
            child.kill()


def test_a_signal_that_no_step_honoured_ends_the_run_on_leaving(capsys):
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    with pytest.raises(stopping.Stopped), stopping.after_steps("again"), stopping.after_steps("never said"):
        signal.raise_signal(signal.SIGTERM)
    assert capsys.readouterr().err.endswith("SIGTERM: stopped, and all that had ended is saved; again\n")
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before
    assert not stopping.asked()


def test_signals_that_are_ignored_stay_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopping.after_steps("again"):
            signal.raise_signal(signal.SIGINT)
            assert not stopping.asked()
    finally:
        signal.signal(signal.SIGINT, before)


def test_nothing_changes_outside_of_the_main_thread():
    found = []

    def work():
        with stopping.after_steps("again"):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
