"""Settings of all tests."""

import hypothesis

# Every example compiles programs: shrinking a failure would take minutes, and a run that cannot be repeated is no help.
hypothesis.settings.register_profile(
    "jaxevo",
    derandomize=True,
    deadline=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
)
hypothesis.settings.load_profile("jaxevo")
