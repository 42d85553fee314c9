"""The AdvNAS cells: both ways of running a member agree whatever it chooses, and so does PyTorch where it has a say."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.pbt_gan.cells import cells
from experiments.pbt_gan.operations import HALVINGS, Halving
from experiments.pbt_gan.resampling import grown, transposed
from jaxevo import pbt, to_onnx, training
from jaxevo.data import Batch
from jaxevo.network import Member
from jaxevo.pbt.extents import cut, pasted, places
from jaxevo.pbt.genes import Choice

LATENTS, CHANNELS = 7, 2
#: Arguments of `small`: two cells and two blocks; one of each, without searched projections.
WIDE, TINY = (8, 2), (4, 1, False)
PARTS = {"generator": (LATENTS,), "discriminator": (8, 8, CHANNELS)}


@functools.cache
def small(size: int, blocks: int, projections: bool = True) -> pbt.Architecture:
    return cells(
        size, CHANNELS, 3, discriminator_width=4, bottom=2, latents=LATENTS, projections=projections, blocks=blocks
    )


@pytest.fixture(scope="module")
def architecture():
    """Two cells and two blocks: what is chosen in one reaches the next."""
    return small(*WIDE)


@pytest.fixture(scope="module")
def genomes(architecture):
    """Genomes that choose every option of every kind of gene; the first has no operation at all where it may."""
    rng, genes = np.random.default_rng(30), architecture.genes
    found = np.zeros((5, len(genes)), np.int32)
    for options in dict.fromkeys(gene.options for gene in genes):
        columns = [at for at, gene in enumerate(genes) if gene.options == options]
        found[1:, columns] = rng.permutation(np.resize(np.arange(len(options)), 4 * len(columns))).reshape(4, -1)
    # Each way to halve a map is used, in branches that there are, and either block halves without the other.
    place = {gene.name.split(".")[0]: at for at, gene in enumerate(genes)}
    halves = found[:, [place[f"block {block} downsample"] for block in (1, 2)]]
    assert {(0, 1), (1, 0), (1, 1)} <= set(map(tuple, halves.tolist()))
    ways = set()
    for block, branch in itertools.product((1, 2), (0, 1)):
        used = (halves[:, block - 1] == 1) & ((block == 1) | (found[:, place[f"block {block} c{branch + 1}"]] > 0))
        ways |= set(found[used, place[f"block {block} down{branch}"]])
    assert len(ways) == len(HALVINGS)
    return found


@functools.cache
def shapes(*sizes: int):
    architecture = small(*sizes)
    genome = jax.ShapeDtypeStruct((len(architecture.genes),), jnp.int32)
    return jax.eval_shape(architecture.init, jax.random.key(0), genome)


def drawn(genome: np.ndarray, seed: int, *sizes: int) -> Member:
    """A member with numbers everywhere, where its genome uses nothing too."""
    rng = np.random.default_rng(seed)
    params, state = jax.tree.map(lambda leaf: np.float32(rng.normal(0.1, 0.5, leaf.shape)), shapes(*sizes))
    return Member(genome, params, jax.tree.map(np.abs, state), None)


def batch(part: str) -> np.ndarray:
    return np.float32(np.random.default_rng(1).normal(size=(5, *PARTS[part])))


@pytest.fixture(scope="module")
def play(architecture):
    """Gives what a part makes of a batch in training, the state after it and, of the generator, the gradient."""

    @functools.partial(jax.jit, static_argnums=0)
    def run(part: str, member: Member):
        def outcome(params):
            outputs, state = architecture.run(
                part, params, member.state, member.genome, batch(part), jax.random.key(2), True
            )
            return jnp.sum(outputs * np.cos(np.arange(outputs.size)).reshape(outputs.shape)), (outputs, state)

        if part == "discriminator":
            # Its gradient compiles for long; a step of a smaller game below needs it.
            _, (outputs, state) = outcome(member.params)
            return outputs, state, {}
        names = [layer.name for layer in architecture.parts[part].layers]
        own = {name: member.params[name] for name in names}
        gradient, (outputs, state) = jax.grad(outcome, has_aux=True)(own)
        return outputs, state, gradient

    return run


def assert_close(one, other, share: float = 1e-5, largest: float | None = None):
    """Trees of arrays that differ by a share of the largest number at most, of each array if none is given."""
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True):
        limit = share * (np.abs(b).max(initial=0) if largest is None else largest)
        np.testing.assert_allclose(a, b, rtol=0, atol=limit, err_msg=jax.tree_util.keystr(path))


def test_genes_are_those_of_the_published_space_in_its_order():
    projection, cell, block = (2, 6, 2, 3), (3, 3, *[7] * 5), (*[7] * 7, 2, 8, 8)
    published = (*projection[1:], *projection * 2, *cell * 3, 5, 5, 5, *block[3:], *block * 3)
    assert tuple(len(gene.options) for gene in cells().genes) == published
    assert len(published) == 3 + 4 * 2 + 7 * 3 + 10 * 4
    assert tuple(len(gene.options) for gene in cells(projections=False).genes) == published[11:]
    # Each of them is one unit of exchange.
    assert len(set(cells().owners)) == len(published)


@pytest.mark.parametrize("part", PARTS)
def test_a_member_of_its_true_size_is_the_masked_one(architecture, genomes, play, part):
    for seed, genome in enumerate(genomes):
        member = drawn(genome, seed, *WIDE)
        outputs, state, gradient = jax.tree.map(np.asarray, play(part, member._replace(genome=jnp.asarray(genome))))
        canonical = np.asarray(architecture.canonical(genome))
        used = places(architecture.extents(canonical))
        true_size = Member(
            pbt.Fixed(tuple(canonical.tolist())),
            cut(used["params"], member.params),
            {kind: cut(used["state"][kind], member.state[kind]) for kind in member.state},
            None,
        )
        made, moved, descent = play(part, true_size)
        assert outputs.shape == {"generator": (5, *PARTS["discriminator"]), "discriminator": (5, 1)}[part]
        assert_close(outputs, made)
        names = [layer.name for layer in architecture.parts[part].layers]
        for name in names:
            statistics = used["state"]["statistics"][name]
            assert_close(state["statistics"][name], pasted(statistics, moved["statistics"][name]))
        if gradient:
            # Pasted gradients are zero where the genome uses nothing; a bias before the normalisation has none at all.
            wanted = {name: pasted(used["params"][name], descent[name]) for name in names}
            largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted))
            # Of several normalisations behind each other: float32 leaves them five digits.
            assert_close(gradient, wanted, 5e-5, largest)


@pytest.mark.parametrize("part", PARTS)
def test_any_genome_makes_finite_pictures_and_scores(architecture, play, part):
    options = [len(gene.options) for gene in architecture.genes]
    for seed, genome in enumerate(np.random.default_rng(4).integers(0, options, (12, len(options)), np.int32)):
        member = drawn(genome, seed, *WIDE)
        leaves = jax.tree.leaves(play(part, member._replace(genome=jnp.asarray(genome))))
        assert all(np.isfinite(leaf).all() for leaf in leaves)


def test_choices_without_a_difference_share_a_program(architecture, genomes):
    names = [gene.name for gene in architecture.genes]

    def canonical(**choices: int) -> list[int]:
        genome = genomes[1].copy()
        for name, index in choices.items():
            matches = [at for at, gene in enumerate(names) if gene.replace(" ", "_").startswith(name)]
            genome[matches] = index
        return architecture.canonical(genome).tolist()

    off = {"projection_2_enabled": 0, "projection_2_linear": 2}
    assert canonical(**off, projection_2_up=1, projection_2_dropout=2) == canonical(**off)
    # A map that has its size is not enlarged; the bottom of the first projection is its target.
    assert canonical(projection_1_linear=0, projection_1_up=1) == canonical(projection_1_linear=2, projection_1_up=0)
    assert canonical(projection_1_linear=1, projection_1_up=1) != canonical(projection_1_linear=1, projection_1_up=0)
    whole = {"block_2_downsample": 0}
    assert canonical(**whole, block_2_down0=6, block_2_down1=3) == canonical(**whole, block_2_down0=4, block_2_down1=0)
    # Kernels of another size are other arrays.
    assert canonical(**whole, block_2_down0=5) != canonical(**whole, block_2_down0=4)


@pytest.mark.parametrize("times", [2, 4])
def test_bilinear_maps_are_those_of_pytorch(times):
    torch = pytest.importorskip("torch")
    maps = np.asarray(jax.random.normal(jax.random.key(6), (2, 3, 5, 4)))
    wanted = torch.nn.functional.interpolate(
        torch.tensor(maps).permute(0, 3, 1, 2), scale_factor=times, mode="bilinear", align_corners=False
    )
    assert_close(grown(jnp.asarray(maps), times, "bilinear"), wanted.permute(0, 2, 3, 1).numpy())


def test_transposed_convolutions_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    maps = np.asarray(jax.random.normal(jax.random.key(6), (2, 3, 5, 4)))
    taps = np.asarray(jax.random.normal(jax.random.key(7), (3, 3, 4)))
    wanted = torch.nn.functional.conv_transpose2d(
        torch.tensor(maps).permute(0, 3, 1, 2), torch.tensor(taps).permute(2, 0, 1)[:, None],
        stride=2, padding=1, output_padding=1, groups=4,
    )  # fmt: skip
    assert_close(transposed(jnp.asarray(maps), jnp.asarray(taps)), wanted.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize(("kind", "side", "dilation"), [("conv3", 3, 1), ("conv5", 5, 1), ("dilated5", 5, 2)])
def test_strided_convolutions_are_those_of_pytorch(kind, side, dilation):
    torch = pytest.importorskip("torch")
    maps = np.asarray(jax.random.normal(jax.random.key(6), (2, 8, 8, 4)))
    kernel = np.asarray(jax.random.normal(jax.random.key(7), (side, side, 4, 4)))
    # A singular vector, of which the power method makes the largest singular value.
    _, values, right = np.linalg.svd(kernel.reshape(-1, 4), full_matrices=False)
    params, state = {"kernel": kernel, "bias": np.ones(4, np.float32)}, {"singular": right[0]}
    choices = {"kind": Choice(HALVINGS, HALVINGS.index(kind))}
    outputs, _ = Halving("down", 4).apply(params, state, choices, jnp.asarray(maps), None, True)
    wanted = torch.nn.functional.conv2d(
        torch.relu(torch.tensor(maps).permute(0, 3, 1, 2)), torch.tensor(kernel / values[0]).permute(3, 2, 0, 1),
        torch.ones(4), stride=2, padding=dilation * (side - 1) // 2, dilation=dilation,
    )  # fmt: skip
    assert_close(outputs, wanted.permute(0, 2, 3, 1).numpy())


@pytest.fixture(scope="module")
def tiny():
    """A game of one cell and one block, and its space."""
    architecture = small(*TINY)
    return architecture, pbt.layers(architecture)


def choosing(architecture: pbt.Architecture, **options) -> np.ndarray:
    """The genome of these options wherever there are such, by the last word of a layer, and else of the first ones."""
    wanted = [(gene.options, options.get(gene.name.split(".")[0].split(" ")[-1])) for gene in architecture.genes]
    return np.asarray([known.index(option) if option in known else 0 for known, option in wanted], np.int32)


def test_a_step_of_the_game_is_the_same_both_ways(tiny):
    architecture, space = tiny
    optimizer = optax.adamw(2e-4, b1=0.0, b2=0.9, eps=1e-4, weight_decay=0)
    learner = training.adversarial(pbt.game(architecture), optimizer, multiplier=2)
    pictures = jax.random.normal(jax.random.key(8), (4, 4, 4, CHANNELS))
    examples = Batch(pictures, jnp.zeros(4, int), jnp.ones(4, bool))
    genome = choosing(
        architecture, up0="transposed", c0="conv3", c2="dilated3", c3="conv5", downsample=True, down0="max of inputs",
        down1="conv5",
    )  # fmt: skip
    anything = drawn(genome, 0, *TINY)
    member = space.learning.expand(space.learning.compact(anything), anything)
    update = jax.jit(learner.update)
    masked, metrics = update(jax.random.key(10), learner.begin(member._replace(genome=jnp.asarray(genome))), examples)
    small_one, others = update(jax.random.key(10), learner.begin(space.learning.compact(member)), examples)
    assert_close(metrics, others)
    expanded = space.learning.expand(small_one._replace(optimizer_state=None), member)
    moved, wanted = (
        jax.tree.map(lambda after, before: np.asarray(after - before), after.params, member.params)
        for after in (masked, expanded)
    )
    # A step of Adam is of the size of the learning rate; that of a bias before the normalisation is rounding alone.
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted)) > 1e-4
    assert_close(moved, wanted, largest=0.1)
    assert_close(masked.state, expanded.state)


def test_a_decoded_generator_survives_onnx(tiny, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    architecture, space = tiny
    genome = choosing(architecture, up0="bilinear", up1="transposed", c0="dilated3")
    member = drawn(genome, 0, *TINY)
    network, latents = space.network(member), np.asarray(batch("generator"))
    pictures = network(latents)
    assert_close(space.learning.forward(member._replace(genome=jnp.asarray(genome)), latents, None, False)[0], pictures)
    path = tmp_path / "generator.onnx"
    to_onnx(network, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert_close(session.run(None, {session.get_inputs()[0].name: latents})[0], pictures)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width is 0, expected a whole number of at least 1"),
        ({"size": 40}, "size is 40 and bottom 4, expected an even bottom that doubles to size"),
        ({"size": 24, "bottom": 3}, "bottom 3, expected an even bottom"),
        ({"size": 8}, "size is 8, which 4 blocks cannot halve, expected a multiple of 16"),
        ({"latents": 2}, "latents is 2, expected at least 3"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cells(**arguments)
