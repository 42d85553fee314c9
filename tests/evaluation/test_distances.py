"""The Frechet distance is that of the formula, of any features, and of all examples and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxevo import Member, Network, data, evaluation
from jaxevo.evaluation import distances
from tests.search import toys

RNG = np.random.default_rng(0)
PARAMS = {"kernel": RNG.normal(size=(4, 3)).astype(np.float32)}
#: Far from zero, where sums of squares would lose digits.
EXAMPLES = (RNG.normal(size=(53, 2, 2)) * [0.5, 2] + 20).astype(np.float32)
LATENTS = RNG.normal(size=(37, 2, 2)).astype(np.float32)
SPLIT = data.Split(LATENTS, np.zeros(37, np.int32))
SPEC = jax.ShapeDtypeStruct((2, 2), jnp.float32)


def extractor(apply=lambda params, x: jnp.tanh((x.reshape(len(x), -1) - 20) @ params["kernel"]) + 3):
    return Network(apply, PARAMS, SPEC, "features", "values")


def expected(one, other):
    """The distance by its formula, with SciPy's root of a matrix."""
    (mean, spread), (target, wanted) = ((x.mean(axis=0), np.cov(x, rowvar=False)) for x in (one, other))
    root = scipy.linalg.sqrtm(spread @ wanted).real
    return np.square(mean - target).sum() + np.trace(spread + wanted - 2 * root)


def features(x):
    return np.asarray(jnp.asarray(extractor()(np.asarray(x, np.float32))), float)


def space(**changes):
    """A member gives its inputs, moved and stretched."""
    settings = {
        "inputs": SPEC,
        "output": "values",
        "apply": lambda variables, genome, inputs: inputs * variables["params"] + 20,
        "sample": lambda key, n: jnp.zeros((n, 1)),
        "init": lambda key, genome: Member(genome, jnp.ones(2), None, None),
        "vary": toys.unused,
    }
    return toys.space(**(settings | changes))


class Untrained:
    """Stands where training is: members are scored as they are."""

    def __init__(self, **changes):
        self.space = space(**changes)

    def __call__(self, key, members):
        raise AssertionError("only scored")


MEMBERS = Member(np.zeros((3, 1)), np.array([[0.5, 2], [1, 1], [np.nan, 1]], np.float32), None, None)


def scored(metric, batch, split=SPLIT):
    evaluate = evaluation.after(Untrained(), split, [metric], batch=batch)
    assert evaluate.objectives == (metric.name,)
    return evaluate.score(MEMBERS)[:, 0]


@pytest.mark.parametrize("batch", [37, 10])
def test_a_fitness_is_minus_the_distance_of_what_members_make(batch):
    # 53 examples and 37 latents in batches of 10: both end with one that is padded.
    metric = -evaluation.frechet(extractor(), EXAMPLES, batch=batch)
    assert metric.name == "-frechet(features)"
    assert metric.larger_is_better
    found = scored(metric, batch)
    wanted = [-expected(features(LATENTS * params + 20), features(EXAMPLES)) for params in MEMBERS.params[:2]]
    np.testing.assert_allclose(found[:2], wanted, rtol=1e-3)
    assert abs(wanted[0] - wanted[1]) > 0.01
    assert np.isnan(found[2])


def test_a_set_is_at_no_distance_from_itself():
    split = data.Split(EXAMPLES - 20, np.zeros(53, np.int32))
    assert abs(scored(-evaluation.frechet(extractor(), EXAMPLES), 20, split)[1]) < 1e-6
    sums = _sums(EXAMPLES.reshape(53, -1).astype(float))
    assert abs(distances.distance(sums, sums)) < 1e-6
    few = _sums(EXAMPLES.reshape(53, -1)[:2].astype(float))
    assert abs(distances.distance(few, few)) < 1e-5, "covariances of rank one"


def _sums(x, origin=0.0):
    x = x - origin
    return distances.FeatureSums(np.float64(len(x)), x.sum(axis=0), x.T @ x)


def test_the_distance_is_that_of_the_formula():
    for size in (3, 6):
        one, other = RNG.normal(size=(40, size)), RNG.normal(1, 2, size=(30, size)) @ RNG.normal(size=(size, size))
        wanted = expected(one, other)
        np.testing.assert_allclose(distances.distance(_sums(one), _sums(other)), wanted, rtol=1e-8)
        np.testing.assert_allclose(distances.distance(_sums(other), _sums(one)), wanted, rtol=1e-8)
        np.testing.assert_allclose(distances.distance(_sums(one, 5), _sums(other, 5)), wanted, rtol=1e-8)
    apart = _sums(np.array([[0.0, 0], [2, 2]])), _sums(np.array([[3.0, 4], [5, 6]]))
    np.testing.assert_allclose(distances.distance(*apart), 25, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_has_no_distance(bad):
    sums = _sums(RNG.normal(size=(9, 3)))
    first = np.array(sums.first)
    first[1] = bad
    assert np.isnan(distances.distance(sums._replace(first=first), sums))
    assert np.isnan(distances.distance(sums, sums._replace(first=first)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: evaluation.frechet(PARAMS, EXAMPLES), TypeError, "frechet: extractor is a dict, expected a jaxevo.N"),
        (lambda: evaluation.frechet(extractor(), EXAMPLES[:, :1]), ValueError, "frechet: examples: inputs have shape"),
        (lambda: evaluation.frechet(extractor(), EXAMPLES[:1]), ValueError, "frechet: examples has 1 row"),
        (lambda: evaluation.frechet(extractor(), EXAMPLES, batch=0), ValueError, "frechet: batch is 0"),
        (
            lambda: evaluation.frechet(extractor(lambda params, x: (x, x)), EXAMPLES),
            ValueError,
            "frechet: extractor 'features' gives PyTreeDef.* expected one array",
        ),
        (
            lambda: evaluation.after(Untrained(), SPLIT, [evaluation.frechet(extractor(), EXAMPLES)]),
            ValueError,
            r"is better when it is smaller.*write -frechet\(features\)",
        ),
        (
            lambda: evaluation.after(
                Untrained(apply=lambda variables, genome, x: x[:, 0]), SPLIT,
                [-evaluation.frechet(extractor(), EXAMPLES)],
            ).score(MEMBERS),
            ValueError,
            r"frechet\(features\): inputs have shape \[37, 2\], expected \[B, 2, 2\]",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
