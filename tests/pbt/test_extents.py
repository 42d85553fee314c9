"""What is cut from an array is what its extent says, as a block or not, and comes back to where it lay."""

import jax
import numpy as np
import pytest

from jaxevo.pbt.extents import Extent, cut, mask, pasted, places

LENGTHS = (5, 4, 3)
USED = {
    "blocks": ((1, 2, 3), (0,), (0, 1, 2)),
    "a gap": ((0, 2, 3), (1, 2), (2,)),
    "nothing on one axis": ((1, 2), (), (0,)),
    "all": (range(5), range(4), range(3)),
}


@pytest.mark.parametrize("used", USED.values(), ids=USED)
def test_what_is_cut_is_what_the_mask_says_and_comes_back(used):
    axes = tuple(np.isin(np.arange(length), list(index)) for length, index in zip(LENGTHS, used, strict=True))
    array = np.random.default_rng(0).normal(size=LENGTHS).astype(np.float32)
    tree = {"kernel": array, "scale": np.float32(3)}
    where = places({"kernel": Extent(axes), "scale": Extent(())})
    small = cut(where, tree)
    assert small["kernel"].shape == tuple(map(len, used))
    np.testing.assert_array_equal(small["kernel"], array[np.ix_(*map(list, used))])
    back = pasted(where, small)
    np.testing.assert_array_equal(back["kernel"], np.where(mask(Extent(axes)), array, 0))
    np.testing.assert_array_equal(back["scale"], np.float32(3), strict=True)
    # Training donates what was cut, and reads what it was cut from afterwards.
    assert not any(np.shares_memory(a, b) for a, b in zip(*map(jax.tree.leaves, (small, tree)), strict=True))
