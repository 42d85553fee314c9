"""The node cases of the `onnx` package: a fixed subset here, all of them by `python -m tests.interop.conformance`."""

import pytest

pytest.importorskip("onnx")

from tests.interop.conformance import cases, conform, reason

#: Cases of which each stands for a kind of operator or a way to write it.
SUBSET = (
    "test_add_bcast",
    "test_argmax_keepdims_example_select_last_index",
    "test_cast_FLOAT_to_FLOAT16",
    "test_clip",
    "test_clip_default_int8_min",
    "test_concat_3d_axis_negative_2",
    "test_constant_pad",
    "test_cumsum_1d_reverse_exclusive",
    "test_depthtospace_crd_mode_example",
    "test_div_uint8",
    "test_elu_example",
    "test_equal_bcast",
    "test_expand_dim_changed",
    "test_eyelike_with_dtype",
    "test_flatten_negative_axis1",
    "test_gather_elements_negative_indices",
    "test_gathernd_example_int32_batch_dim1",
    "test_gelu_tanh_1",
    "test_hardmax_one_hot",
    "test_if",
    "test_isinf_negative",
    "test_logsoftmax_large_number",
    "test_mod_mixed_sign_int32",
    "test_onehot_negative_indices",
    "test_pow_types_int64_float32",
    "test_prelu_broadcast",
    "test_range_int32_type_negative_delta",
    "test_reduce_log_sum_exp_negative_axes_keepdims_example",
    "test_reduce_max_empty_set",
    "test_reflect_pad",
    "test_reshape_zero_and_negative_dim",
    "test_reversesequence_time",
    "test_scan9_sum",
    "test_scatter_elements_with_duplicate_indices",
    "test_scatternd_add",
    "test_shape_clip_end",
    "test_slice_neg_steps",
    "test_softmax_large_number",
    "test_spacetodepth_example",
    "test_split_1d_uneven_split_opset18",
    "test_squeeze_negative_axes",
    "test_tile",
    "test_top_k_smallest",
    "test_transpose_all_permutations_3",
    "test_tril_neg",
    "test_unsqueeze_unsorted_axes",
    "test_where_long_example",
    "test_xor_bcast4v2d",
)


@pytest.fixture(scope="module")
def found():
    return {case.name: case for case in cases()}


@pytest.mark.filterwarnings("ignore")
def test_a_subset_of_the_node_cases_passes(found):
    assert set(SUBSET) <= found.keys(), sorted(set(SUBSET) - found.keys())
    report = conform([found[name] for name in SUBSET])
    assert not report.failed, "\n".join(f"{name}: {error}" for name, error in report.failed.items())
    assert not report.out


@pytest.mark.filterwarnings("ignore")
def test_what_a_compiled_network_cannot_have_is_out_of_scope_and_little_else(found):
    reasons = [reason(case) for case in found.values()]
    assert {"training", "strings", "random numbers", "shapes that depend on values"} <= set(reasons)
    assert reasons.count(None) > 0.7 * len(reasons)
