"""Settings of all tests."""

import atexit
import gc
import os
import shutil
import signal
import tempfile

import hypothesis

# Runs that are repeated, cut or killed need the same programs again, in this process, in xdist's others and in
# children: each is compiled once for the whole session, however small (this halves the time of whole programs).
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="jaxevo-tests-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

from tests.flags import quickly

# CI's smoke tests compile as users do.
os.environ["XLA_FLAGS"] = quickly(os.environ.get("XLA_FLAGS", ""))

# A session that was started in the background ignores SIGINT, and so would the children that tests send it to.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Thousands of traces stay alive, which the collector would walk through again and again for next to nothing.
gc.set_threshold(50_000, 20, 1000)

# Every example compiles programs: shrinking a failure would take minutes, and a run that cannot be repeated is no help.
hypothesis.settings.register_profile(
    "jaxevo",
    derandomize=True,
    deadline=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
)
hypothesis.settings.load_profile("jaxevo")
