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

import jax

# Tests compile much and run little: without LLVM's optimisation they take half the time, without the fusion emitters a
# third less again. CI's smoke tests have both. Releases after 0.10 do not know the second option.
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    # Both cores are taken: a program whose code is made in several parts takes a fifth longer.
    faster = " --xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + faster
    if jax.__version_info__[:2] == (0, 10):
        os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"

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
