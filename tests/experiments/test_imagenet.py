"""Networks for ImageNet on streamed pictures: scores, however they are read; resuming; what a run costs."""

import dataclasses
import functools
import importlib
import io
import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxevo
from experiments import pretrained, zoo
from experiments.imagenet import cost, sample
from experiments.imagenet.evaluate import main
from experiments.imagenet.networks import take
from experiments.imagenet.options import parse
from experiments.imagenet.scoring import Scorer
from experiments.stitching.presets import PRESETS, Retraining
from jaxevo import data, devices, graph
from jaxevo.data import Recipe

image = pytest.importorskip("PIL.Image")
for package in ("grain", "tensorboardX"):
    pytest.importorskip(package)

COUNT = 50
NETWORK = "flax:vgg_32px"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs in both of ImageNet's layouts."""
    path = tmp_path_factory.mktemp("imagenet")
    found = sample.pictures(COUNT)
    sample.write_folders(path / "folders", found, sample.write_tfds(path / "tfds", found))
    return path


def prepared(folder):
    return ["--data", "tfds:imagenet2012", "--data-dir", str(folder / "tfds")]


def folders(folder):
    return ["--data", f"folder:{folder / 'folders'}"]


def result(path):
    return json.loads((path / "result.json").read_text())


def scores(path, *arguments, network=NETWORK):
    main(["--network", network, "--out", str(path), "--threads", "2", *arguments])
    return result(path)["scores"]


@pytest.fixture(scope="module")
def first(folder):
    """A run with a checkpoint after each batch."""
    scores(folder / "first", *prepared(folder), "--batch", "16", "--every", "1")
    return folder / "first"


def test_scores_are_those_of_every_picture_once(first, folder):
    options = parse("evaluate", "", ["--network", NETWORK, *prepared(folder)])
    source = data.source(options.data, "test", options.data_dir)
    network, recipe = take(NETWORK, options, source.classes)
    inputs = np.stack([data.prepare(recipe, one.picture) for one in source])
    labels = np.array([one.label for one in source])
    said = np.asarray(jax.nn.log_softmax(network(inputs)))
    order = np.argsort(-said, axis=1, kind="stable")
    found = result(first)
    assert found["images"] == COUNT
    assert found["scores"]["top_1"] == pytest.approx((order[:, 0] == labels).mean())
    assert found["scores"]["top_5"] == pytest.approx((order[:, :5] == labels[:, None]).any(axis=1).mean())
    assert found["scores"]["nll"] == pytest.approx(-said[np.arange(COUNT), labels].mean(), rel=1e-5)
    assert 0 < found["scores"]["ece"] < 1


def test_scores_do_not_depend_on_layout_or_batch(first, folder):
    wanted = result(first)["scores"]
    found = scores(folder / "seven", *folders(folder), "--batch", "7")
    assert found == pytest.approx(wanted, rel=1e-4)
    assert (found["top_1"], found["top_5"]) == (wanted["top_1"], wanted["top_5"])


def scored(network, recipe, source, batch, workers):
    """Scores a network with all devices there are."""
    mesh = devices.mesh(data=jax.device_count())
    scorer = Scorer(network, mesh, batch)
    streamed = data.stream(source, recipe, batch, workers=workers)
    state = scorer.run(data.prefetched(streamed, mesh, batch, recipe=recipe))
    return scorer.finish(jax.tree.map(np.asarray, state))


def small(path, batch, workers):
    source = data.source("tfds:imagenet2012", data_dir=path)
    network = zoo.random_network(jax.random.key(0), "vgg_8px", (8, 8, 3), len(source.classes))
    return scored(network, Recipe(8, 9), source, batch, workers)


def child(count, flags, function, *arguments):
    """Calls a function of this module in a process with so many devices."""
    code = f"import json; from {__name__} import {function} as run; print(json.dumps(run(*{arguments!r})))"
    flags = f"{flags} --xla_force_host_platform_device_count={count}"
    command, environment = [sys.executable, "-c", code], {**os.environ, "XLA_FLAGS": flags}
    run = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True, timeout=300)
    return json.loads(run.stdout.splitlines()[-1])


def test_scores_do_not_depend_on_devices(folder):
    found = child(4, os.environ.get("XLA_FLAGS", ""), "small", str(folder / "tfds"), 12, 0)
    assert found == pytest.approx(small(folder / "tfds", 50, 0), rel=1e-4)


def test_a_run_that_was_cut_goes_on_and_ends_with_the_same_bits(first, folder):
    cut = folder / "cut"
    shutil.copytree(first, cut)
    (cut / "result.json").unlink()
    shutil.rmtree(cut / "sums" / "step_00000004")
    log = cut / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-20])
    found = scores(cut, *prepared(folder), "--batch", "16", "--every", "1", "--resume")
    assert found == result(first)["scores"]
    assert result(cut)["speed"]["images"] == COUNT - 3 * 16
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["event"], line["step"]) for line in lines] == [
        *(("scored", step) for step in (16, 32, 48, 50)),
        *(("scored", 50), ("end", 50)),
    ]
    assert lines[-1]["nll"] == found["nll"]
    assert list((cut / "tensorboard").glob("events*"))


def test_speed_is_said_beside_that_of_the_network_alone(first):
    speed = result(first)["speed"]
    assert speed["images"] == COUNT
    assert speed["ratio"] == pytest.approx(speed["images_per_second"] / speed["alone_images_per_second"])
    assert all(value > 0 for value in speed.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mesh", "3x7"], "--mesh is 3x7, 21 devices, but there are"),
        (["--mesh", "all"], "expected POPxDATA"),
        (["--network", NETWORK], "evaluate scores one"),
        (["--split", "vaild"], "imagenet2012 has validation"),
        (["--resize", "31"], "1 <= size <= resize"),
        ([], "holds a run already; pass --resume"),
        (["--resume", "--batch", "9"], "other settings"),
    ],
)
def test_what_does_not_fit_ends_with_a_message(first, folder, arguments, message):
    asked = ["--network", NETWORK, *prepared(folder), "--out", str(first), *arguments]
    with pytest.raises(SystemExit, match=message):
        main(asked)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("resnet50", "expected torch:timm/NAME"),
        ("torch:resnet50", "torch:efficientnet-lite0"),
        ("flax:resnet_33px", "did you mean"),
        (f"{NETWORK}@nowhere", "there is no checkpoint"),
        ("onnx:nowhere.onnx", "nowhere.onnx"),
    ],
)
def test_networks_that_are_not_there_are_named(folder, network, message):
    with pytest.raises(SystemExit, match=message):
        main(["--network", network, *prepared(folder), "--out", str(folder / "none")])
    assert not (folder / "none").exists()


def test_a_file_of_onnx_is_taken_in_and_one_with_other_classes_refused(tmp_path):
    pytest.importorskip("onnx")
    network = zoo.random_network(jax.random.key(0), "vgg_8px", (8, 8, 3), 10)
    jaxevo.to_onnx(network, tmp_path / "small.onnx")
    name = f"onnx:{tmp_path / 'small.onnx'}"
    options = parse("evaluate", "", ["--network", name, "--data", "none"])
    taken = take(name, options, [str(index) for index in range(10)])
    assert taken.recipe == Recipe(8, 9)
    inputs = np.random.default_rng(0).standard_normal((3, 8, 8, 3), np.float32)
    np.testing.assert_allclose(taken.network(inputs), network(inputs), rtol=1e-4, atol=1e-5)
    with pytest.raises(SystemExit, match=r"each of the 12 classes .* list them all in classes\.txt"):
        take(name, options, list(sample.NEAREST.values()))


def loop(source):
    """Returns what PyTorch says to each picture, one after another, [N, 1000]."""
    torch, module, found = importlib.import_module("torch"), pretrained.module("efficientnet-lite0"), []
    for one in source:
        picture = image.open(io.BytesIO(one.picture)).convert("RGB")
        width, height = picture.size
        side = (int(256 * width / height), 256) if height < width else (256, int(256 * height / width))
        picture = picture.resize(side, image.Resampling.BICUBIC)
        left, top = (round((length - 224) / 2) for length in side)
        pixels = np.array(picture.crop((left, top, left + 224, top + 224)), np.float32)
        with torch.no_grad():
            found.append(module(torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)[None])[0].numpy())
    return np.stack(found)


def lite(tfds, folders, workers):
    """Returns top-1 of both layouts at two batch sizes and, without workers, of PyTorch and how far logits differ."""
    name = "torch:efficientnet-lite0"
    sources = (data.source("tfds:imagenet2012", data_dir=tfds), data.source(f"folder:{folders}"))
    network, recipe = take(name, parse("evaluate", "", ["--network", name, "--data", "none"]), sources[0].classes)
    pairs = zip(sources, (16, 12), strict=True)
    found = [scored(network, recipe, source, batch, workers)["top_1"] for source, batch in pairs]
    if workers:
        return found, None, None
    run, wanted = jax.jit(graph.accelerate(network).apply), loop(sources[0])
    streamed = data.stream(sources[0], recipe, 25)
    said = np.concatenate([np.asarray(run(network.params, recipe.normalise(one.inputs))) for one in streamed])
    right = float((wanted.argmax(axis=1) == [one.label for one in sources[0]]).mean())
    return found, right, float(np.abs(said - wanted).max())


@pytest.mark.skipif(bool(pretrained.missing("efficientnet-lite0")), reason="needs PyTorch and the network's packages")
def test_efficientnet_lite0_scores_as_a_loop_in_torch_does(folder):
    places = (str(folder / "tfds"), str(folder / "folders"))
    # Not with the flags of these tests, which make programs slow.
    found, right, difference = child(1, "", "lite", *places, 0)
    assert difference < 1e-4
    assert 0.1 < right < 0.9
    assert found == pytest.approx([right, right], abs=1e-6)
    assert child(4, "", "lite", *places, 2)[0] == found


@pytest.mark.smoke
def test_costs_are_counted(capsys):
    work = cost.Work("training", "", 1e6, 4e9)
    device = cost.Device(1e15, 3.6)
    assert cost.cost(work, device, 0.5) == pytest.approx((16.0, 0.016))
    assert cost.cost(work, device, 0.5, 8) == pytest.approx((2.0, 0.016))
    parts = cost.presets()["stitching paper-resnext"]
    mean = (cost.MULTIPLY_ADDS["resnet50"] + cost.MULTIPLY_ADDS["resnext50"]) / 2
    assert parts[1].operations == 2 * 4 * 200_000 * 1000 * mean
    whole = Retraining(epochs=3, batch=8, rate=1e-4)
    *_, retraining = cost.stitching(dataclasses.replace(PRESETS["paper-resnext"], retraining=whole))
    assert retraining.pictures == (cost.FRONT + 2) * 3 * 1_281_167
    seconds = functools.partial(cost.cost, device=cost.DEVICES["TPU v5e"], utilisation=cost.UTILISATION)
    cost.main(["--device", "TPU v5e"])
    shown = capsys.readouterr().out
    assert f"{seconds(parts[1])[0]:,.0f}" in shown
    assert "transfer paper-imagenet, in all" in shown
    with pytest.raises(SystemExit):
        cost.main(["--utilisation", "2"])
