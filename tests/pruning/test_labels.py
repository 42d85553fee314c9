"""Labels come to a common refinement, or are pinned."""

from jaxevo.pruning.axes.labels import Labels


def lengths(labels, label):
    """Lengths of the atoms of a label, those that are pinned negative."""
    return [labels.size(atom) * (-1 if labels.pinned(atom) else 1) for atom in labels.atoms(label)]


def test_a_product_is_refined_by_another_one():
    labels = Labels()
    axis, one = labels.new(24), labels.new(24)
    heads, widths = labels.new(6), labels.new(4)
    labels.make(axis, "product", [heads, widths])
    labels.make(one, "product", [labels.new(2), labels.new(12)])
    labels.unite(axis, one)
    assert lengths(labels, axis) == lengths(labels, one) == [2, 3, 4]
    assert lengths(labels, heads) == [2, 3]
    assert lengths(labels, widths) == [4]


def test_products_without_a_common_refinement_are_pinned():
    labels = Labels()
    axis, rows = labels.new(24), labels.new(6)
    labels.make(axis, "product", [rows, labels.new(4)])
    labels.make(axis, "product", [labels.new(8), labels.new(3)])
    assert lengths(labels, axis) == [-6, -4]
    assert labels.pinned(rows)


def test_slices_that_overlap_are_refined():
    labels = Labels()
    axis, first, last = labels.new(10), labels.new(6), labels.new(7)
    labels.make(axis, "sum", [first, labels.new(4)])
    labels.make(axis, "sum", [labels.new(3), last])
    assert lengths(labels, axis) == [3, 3, 4]
    assert lengths(labels, last) == [3, 4]


def test_a_product_of_a_concatenation_ties_its_parts():
    labels = Labels()
    axis, a, b = labels.new(8), labels.new(4), labels.new(4)
    labels.make(axis, "sum", [a, b])
    labels.make(axis, "product", [labels.new(2), labels.new(4)])
    assert labels.find(a) == labels.find(b)
    assert 4 in lengths(labels, axis)


def test_parts_that_fit_no_factor_are_pinned():
    labels = Labels()
    axis, a = labels.new(8), labels.new(3)
    labels.make(axis, "sum", [a, labels.new(5)])
    labels.make(axis, "product", [labels.new(2), labels.new(4)])
    assert labels.pinned(a)
    assert all(length < 0 for length in lengths(labels, axis))


def test_pinning_reaches_parts_that_are_found_later_or_come_from_the_other_side():
    labels = Labels()
    axis, other = labels.new(6), labels.new(6)
    part = labels.new(2)
    labels.make(other, "product", [part, labels.new(3)])
    labels.pin(axis)
    labels.unite(axis, other)
    assert labels.pinned(part)
    late = labels.new(3)
    labels.make(axis, "sum", [late, labels.new(3)])
    assert labels.pinned(late)


def test_axes_of_different_lengths_cannot_be_one():
    labels = Labels()
    a, b = labels.new(4), labels.new(5)
    labels.unite(a, b)
    assert labels.pinned(a)
    assert labels.pinned(b)


def test_a_shuffle_of_channels_that_is_added_to_its_input_ties_them():
    labels = Labels()
    axis, rows, columns = labels.new(8), labels.new(2), labels.new(4)
    labels.make(axis, "product", [rows, columns])
    labels.make(axis, "product", [columns, rows])
    assert lengths(labels, axis) == [2]
