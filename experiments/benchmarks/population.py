"""Scores populations of mutated networks in all ways that there are, beside plain inference of their parent.

    python -m experiments.benchmarks.population [--out DIR] [--resume]

Networks: a ResNet-20 of 0.27 M parameters and dense layers 784-512-512-10 of 0.67 M, random weights and images. Ways:
sparse and dense mutations, drawn on the fly and ahead; children of layers and of neurons that share what they have in
common; evosax's Open_ES, vmapped; a one-by-one loop. Seconds are medians over rounds in which the ways take turns.
"""

import concurrent.futures
import multiprocessing
import statistics
import time
from typing import Any, NamedTuple

from experiments.benchmarks.members import NETWORKS, WAYS, Problem, examples
from experiments.benchmarks.ways import begin_memory, peak_bytes
from experiments.folder import RunFolder, claim
from experiments.options import parse_benchmark
from experiments.report import table, versions, write_json
from jaxevo.evaluation import memory

#: EGGROLL (arXiv 2511.16652, appendix E): share of plain inference, in percent.
PUBLISHED = {
    "what": "EGGROLL, rank-1 perturbations: plain inference is 100",
    "noise_ahead": 91,
    "noise_on_the_fly": 69,
    "conditions": "one dense layer 8,192 wide, bfloat16, one H100-class GPU, batch 1,024; each member meets one input",
    "comparable": "shares of the same machine's plain inference are; seconds, and shares at other images per member, "
    "are not: EGGROLL perturbs anew for each input, here a member is made once and meets all its images",
}


class Setting(NamedTuple):
    """One group of ways that are timed in turn.

    network: a key of `NETWORKS`.
    images: per member; batch: at a time.
    members: how many are scored.
    ways: keys of `WAYS`; the first is what the others are compared with.
    """

    network: str
    images: int
    batch: int
    members: int
    ways: tuple[str, ...]


COMMON = ("inference", "sparse", "sparse_ahead", "dense", "dense_ahead")

SETTINGS = (
    # By itself, since a difference of a few hundredths needs many rounds.
    Setting("resnet", 1000, 250, 10, ("inference", "sparse")),
    Setting("resnet", 1000, 250, 8, ("inference", "sparse_ahead", "dense", "dense_ahead", "loop")),
    # As many members as layers: each layer is mutated in one of them.
    Setting("resnet", 1000, 250, 22, ("inference", "layerwise")),
    # Side by side a few members take as long as many one by one.
    Setting("resnet", 1000, 250, 2, ("inference", "sparse", "evosax")),
    Setting("resnet", 64, 64, 64, (*COMMON, "loop", "evosax")),
    Setting("resnet", 1, 1, 64, (*COMMON, "loop", "evosax")),
    Setting("resnet", 1, 1, 1024, ("inference", "sparse", "dense")),
    Setting("mlp", 1000, 1000, 64, (*COMMON, "neuron", "loop", "evosax")),
    Setting("mlp", 64, 64, 1024, ("inference", "sparse", "dense", "neuron")),
    Setting("mlp", 1, 1, 1024, ("inference", "sparse", "dense")),
)

#: What memory is measured on: way, members; images per member as a batch.
MEMORY = (("inference", 64), ("sparse", 64), ("sparse", 1024), ("evosax", 16), ("evosax", 64), ("evosax", 256))
MEMORY_IMAGES = 250
MEMORY_IMAGES_EVOSAX = 1
#: Processes that each is measured in, of which the median counts: what compiling takes at its peak differs by a third.
MEMORY_RUNS = 3

#: Rounds at most, and seconds after which no further round begins.
ROUNDS, PATIENCE = 9, 45.0


class Timing(NamedTuple):
    """Seconds of each round, by way.

    wall: by the clock, which ratios are made of.
    cpu: of all cores together; where other work takes the cores, this says more.
    """

    wall: dict[str, list[float]]
    cpu: dict[str, list[float]]


def measure(setting: Setting) -> Timing:
    """Times the ways of a setting in turn, after a first call that compiles."""
    network = NETWORKS[setting.network]()
    problem = Problem(network, examples(network, setting.images), setting.batch, setting.members)
    scores = {name: WAYS[name](problem) for name in setting.ways}
    for score in scores.values():
        score()
    found = Timing({name: [] for name in scores}, {name: [] for name in scores})
    start, rounds = time.monotonic(), 0
    while rounds == 0 or (rounds < ROUNDS and time.monotonic() - start < PATIENCE):
        for name, score in scores.items():
            wall, cpu = time.monotonic(), time.process_time()
            score()
            found.cpu[name].append(time.process_time() - cpu)
            found.wall[name].append(time.monotonic() - wall)
        rounds += 1
    return found


def measure_memory(way: str, members: int) -> int:
    """Returns by how many bytes this process grew at most while it built a way and scored a population once."""
    network = NETWORKS["resnet"]()
    images = MEMORY_IMAGES_EVOSAX if way == "evosax" else MEMORY_IMAGES
    before = begin_memory()
    WAYS[way](Problem(network, examples(network, images), images, members))()
    return peak_bytes() - before


def benchmark(folder: RunFolder) -> dict[str, Any]:
    """Measures everything, each setting in a process of its own, and writes `result.json`."""
    groups = []
    for setting in SETTINGS:
        title = f"{setting.network}, {setting.images} images, {setting.members} members"
        with folder.phase(title):
            wall, cpu = _in_a_process_of_its_own(measure, setting)
        groups.append(
            {
                **setting._asdict(),
                "rounds": {"wall": wall, "cpu": cpu},
                "seconds": _medians(wall),
                "share": shares(wall),
                "cpu_share": shares(cpu),
            }
        )
        _print(title, groups[-1])
    grown = {}
    for way, members in MEMORY:
        with folder.phase(f"memory of {way}, population {members}"):
            runs = [_in_a_process_of_its_own(measure_memory, way, members) for _ in range(MEMORY_RUNS)]
            grown[f"{way}_{members}"] = int(statistics.median(runs))
    result = {
        "benchmark": "population",
        "groups": groups,
        "ratios": ratios(groups),
        "memory": memory_figures(grown),
        "published": PUBLISHED,
        "versions": versions(),
    }
    write_json(folder.path / "result.json", result)
    for name in ("ratios", "memory", "published"):
        table(name, ("what", "value"), list(result[name].items()))
    return result


def shares(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Returns each way's members x images per second as a share of plain inference: medians of the rounds' shares."""
    first = next(iter(seconds.values()))
    return {
        name: statistics.median(a / b for a, b in zip(first, rounds, strict=True)) for name, rounds in seconds.items()
    }


def ratios(groups: list[dict[str, Any]]) -> dict[str, float]:
    """Returns what the benchmark is judged by: seconds of A over seconds of B for the same work, 1,000 images each."""

    def at(network, way):
        return next(g for g in groups if g["network"] == network and g["images"] == 1000 and way in g["ways"])

    side_by_side = at("resnet", "evosax")["share"]
    return {
        "inference_over_sparse_1000": at("resnet", "sparse")["share"]["sparse"],
        "inference_over_layerwise_1000": at("resnet", "layerwise")["share"]["layerwise"],
        "inference_over_neuron_dense_1000": at("mlp", "neuron")["share"]["neuron"],
        "evosax_over_sparse_1000": side_by_side["sparse"] / side_by_side["evosax"],
        "loop_over_sparse_1000": at("resnet", "sparse")["share"]["sparse"] / at("resnet", "loop")["share"]["loop"],
        "inference_over_sparse_dense_layers_1000": at("mlp", "sparse")["share"]["sparse"],
    }


def memory_figures(grown: dict[str, int]) -> dict[str, float]:
    """Returns peak memory in MB, ratios, and the population at which evosax no longer fits into this machine."""
    largest = max(int(name.split("_")[1]) for name in grown if name.startswith("evosax"))
    each = (grown[f"evosax_{largest}"] - grown["evosax_16"]) / (largest - 16)
    found: dict[str, float] = {f"{name}_mb": round(size / 1e6, 1) for name, size in grown.items()}
    available = memory.available_bytes(_device())
    return found | {
        "ours_1024_over_inference": grown["sparse_1024"] / grown["inference_64"],
        "evosax_mb_per_member": each / 1e6,
        "evosax_1024_over_inference": (grown["evosax_16"] + each * (1024 - 16)) / grown["inference_64"],
        "evosax_largest_population": float("nan") if available is None else available // each,
    }


def _device():
    import jax

    return jax.devices()[0]


def _medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(rounds) for name, rounds in seconds.items()}


def _print(title: str, group: dict[str, Any]) -> None:
    work = group["members"] * group["images"]
    rows = [
        (
            name,
            f"{group['seconds'][name]:.3f}",
            f"{work / group['seconds'][name]:.0f}",
            f"{group['share'][name]:.2f}",
            f"{group['cpu_share'][name]:.2f}",
        )
        for name in group["ways"]
    ]
    table(title, ("way", "seconds", "members x images / s", "share of inference", "by CPU time"), rows)


def _in_a_process_of_its_own(function, *arguments):
    """Runs a function where nothing else has compiled anything or taken memory."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        return executor.submit(function, *arguments).result()


def main() -> None:
    """Runs the benchmark."""
    options = parse_benchmark("population", __doc__ or "", resume="write into a folder that holds results already")
    with claim(options.out, {"settings": [setting._asdict() for setting in SETTINGS]}, options.resume) as folder:
        benchmark(folder)


if __name__ == "__main__":
    main()
