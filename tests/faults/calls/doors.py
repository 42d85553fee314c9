"""Calls of networks in and out."""

from collections.abc import Iterator

import numpy as np
from flax import linen as nn
from hypothesis import strategies as st

import jaxevo
from jaxevo import interop
from jaxevo.network import Network
from tests.faults import wrong
from tests.faults.calls.making import Call, call, of
from tests.faults.world import Small, World
from tests.faults.wrong import Kind, batches, callables, counts, instances, names, networks, numbers, paths, things


def doors(world: World) -> Iterator[Call]:
    """Yields the calls."""
    inputs, small = world.split.inputs, Small()
    told = {
        "name": of(things(lambda value: isinstance(value, str), optional=True), "small"),
        "output": of(names("logits", "probabilities", "values"), "logits"),
        "classes": of(wrong.class_names(), ("a", "b", "c")),
        "convention": of(instances(jaxevo.Convention, optional=True), None),
    }
    module = instances(nn.Module, others=[Small, *world.objects])
    drawn = Kind(st.sampled_from(["digits", None, 3, object(), [], {}]))
    example = Kind(st.sampled_from([*wrong.pictures(inputs)[:3], "digits", None, 3, object(), [], {}]), ("inputs",))
    variables = Kind(
        st.sampled_from([None, {}, [], world.variables(Small(6)), world.variables(small)["params"], "params", 3]),
        ("parameters", "params"),
    )
    yield call(
        "from_flax",
        jaxevo.from_flax,
        module=of(module, small),
        variables=of(variables, world.variables(small)),
        example=of(example, inputs[:1]),
        **told,
    )
    yield call(
        "trainable_from_flax",
        jaxevo.trainable_from_flax,
        module=of(module, small),
        example=of(drawn, inputs[:1]),
        **told,
    )
    yield call(
        "Network",
        Network,
        apply=of(callables(), world.network.apply),
        params=world.network.params,
        inputs=of(
            Kind(st.sampled_from([None, inputs, (6, 5, 2), "HWC", 3, {}, [], world.split])), world.network.inputs
        ),
        **{**told, "classes": of(wrong.class_names(counted=False), ("a", "b", "c"))},
    )
    yield call(
        "spec",
        jaxevo.spec,
        batch=of(Kind(st.sampled_from([3, None, "x", 2.5, object(), [], {}, np.float32(1)])), inputs),
    )
    yield call("Network", lambda inputs: world.network(inputs), inputs=of(batches(inputs), inputs))
    yield call(
        "as_trainable",
        jaxevo.as_trainable,
        network=of(networks(*world.objects), world.network),
        normalisation=of(names("frozen", "batch"), "frozen"),
        momentum=of(numbers(0, 1, open_high=True), 0.9),
    )
    yield call("to_flax", jaxevo.to_flax, network=of(networks(*world.objects), world.network))
    yield call(
        "to_stablehlo",
        jaxevo.to_stablehlo,
        network=of(networks(*world.objects), world.network),
        path=of(paths(optional=True, missing=False), None),
        batch=of(counts(1, optional=True), 2),
        platforms=of(Kind(st.sampled_from(["cpu", [], ("gpux",), (3,), 3, ("cpu", "tpux")])), ("cpu",)),
    )
    yield call(
        "to_onnx",
        jaxevo.to_onnx,
        network=of(networks(*world.objects), world.network),
        path=of(paths(optional=True, missing=False), None),
    )
    yield call("from_onnx", jaxevo.from_onnx, source=of(paths(), world.exported))
    yield call("load_state", interop.load_state, path=of(paths(), world.weights))
    yield call(
        "save_state",
        interop.save_state,
        params=of(
            Kind(st.sampled_from(["x", {"a": "b"}, {"a": object()}, {"a": None, "b": wrong.function}])),
            world.network.params,
        ),
        path=of(paths(missing=False), world.folder / "params.safetensors"),
    )
