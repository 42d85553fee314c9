"""How programs are compiled where much is compiled and little is run, as in tests and notebooks."""

import jax

LEVEL = "--xla_backend_optimization_level"


def quickly(flags: str) -> str:
    """Returns `XLA_FLAGS` with which CPUs compile as quickly as they can, unless they say how already.

    Without LLVM's optimisation programs take half the time, without the fusion emitters a third less again. Both cores
    are taken: a program whose code is made in several parts takes a fifth longer.

    Args:
      flags: what `XLA_FLAGS` holds.
    """
    if LEVEL in flags:
        return flags
    faster = [flags, f"{LEVEL}=0", "--xla_cpu_parallel_codegen_split_count=1"]
    # Releases after 0.10 do not know this one.
    if jax.__version_info__[:2] == (0, 10):
        faster.append("--xla_cpu_use_fusion_emitters=false")
    return " ".join(faster).strip()
