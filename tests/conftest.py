"""Settings of all tests."""

import os

import hypothesis

# Tests compile much and run little: without LLVM's optimisation they take half the time. CI's smoke tests have it.
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"

# Every example compiles programs: shrinking a failure would take minutes, and a run that cannot be repeated is no help.
hypothesis.settings.register_profile(
    "jaxevo",
    derandomize=True,
    deadline=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
)
hypothesis.settings.load_profile("jaxevo")
