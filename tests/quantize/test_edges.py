"""The convolutions around a grouped one in integers: which, how, and to what bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.integer.scales import WIDE_LIMIT, WIDE_PRODUCTS, WIDE_SUM, quantize_wide
from csideploy.export.plan import DType, Op, Plan, Step
from csideploy.export.quantize.choose import noise_judge
from csideploy.export.quantize.edges import own_edges
from csideploy.export.quantize.mixed import FLOAT, MixedStudy
from csideploy.export.quantize.prepare import prepare
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part, instruction_sets

F32 = np.float32
Array = NDArray[Any]
EDGES = ["wide", "narrow"]


def network(**changes: Any) -> ModelProto:
    """conv 1x3 (2 -> C), PReLU, conv 5x5 in pairs, PReLU, conv 3x1 (C -> 2), + x, PReLU.

    The channels in front of the last one are of sizes from 1 to 2,000.
    """
    how: dict[str, Any] = {
        "c": 8, "groups": 4, "ends": 2, "side": 16, "first": {}, "last": {}, "act": "PRelu",
        "again": None, "add": True, "bias": True, **changes,
    }  # fmt: skip
    c, ends, side = how["c"], how["ends"], how["side"]
    rng = np.random.default_rng(3)

    def weight(name: str, *shape: int, size: Any = 1.0) -> TensorProto:
        values = rng.normal(0, 1 / np.sqrt(np.prod(shape[1:]) or 1), shape) * size
        return numpy_helper.from_array(values.astype(F32), name)

    grow = np.geomspace(1, 2000, c)
    of_one = (-1, 1, 1, 1)
    stored = [
        *(weight("w1", c, ends, 1, 3), weight("b1", c)),
        *(weight("w2", c, c // how["groups"], 5, 5, size=grow.reshape(of_one)), weight("b2", c)),
        *(weight("w3", ends, c, 3, 1, size=1 / grow.reshape(1, -1, 1, 1)), weight("b3", ends)),
        numpy_helper.from_array(np.full((c, 1, 1), 0.25, F32), "s1"),
        numpy_helper.from_array(np.linspace(-0.5, 0.5, c, dtype=F32).reshape(c, 1, 1), "s2"),
        numpy_helper.from_array(np.full((ends, 1, 1), 0.3, F32), "s3"),
    ]
    conv, act, biases = "Conv", how["act"], ["b2"] if how["bias"] else []
    slopes = [["s1"], ["s2"]] if act == "PRelu" else [[], []]
    grouped = {"pads": [2] * 4, "group": how["groups"]}
    first, last = {"pads": [0, 1, 0, 1], **how["first"]}, {"pads": [1, 0, 1, 0], **how["last"]}
    nodes = [
        helper.make_node(conv, ["x", "w1", "b1"], ["a"], name="wide", **first),
        helper.make_node(act, ["a", *slopes[0]], ["p"], name="p"),
        helper.make_node(conv, ["p", "w2", *biases], ["m"], name="pairs", **grouped),
        helper.make_node(act, ["m", *slopes[1]], ["q"], name="q"),
        helper.make_node(conv, ["q", "w3", "b3"], ["n"], name="narrow", **last),
    ]
    if how["add"]:
        nodes.append(helper.make_node("Add", ["n", "x"], ["sum"], name="sum"))
        nodes.append(helper.make_node("PRelu", ["sum", "s3"], ["y"], name="out"))
    else:
        nodes.append(helper.make_node("PRelu", ["n", "s3"], ["y"], name="out"))
    results = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    if how["again"]:
        nodes.append(helper.make_node("Neg", [how["again"]], ["z"], name="again"))
        results.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", ends, side, side])
    graph = helper.make_graph(nodes, "block", [x], results, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def data(seed: int = 4, ends: int = 2, side: int = 16) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 1, (16, ends, side, side)).astype(F32) for _ in range(2)]


def study(model: ModelProto | None = None) -> MixedStudy:
    return MixedStudy(model or network(), data(), trials=2, seed=1)


def written(bits: int = 8) -> ModelProto:
    made = study()
    made.bits["pairs"] = bits
    return made.model(advance=lambda: None)


@given(
    st.integers(1, 8),
    st.sampled_from([1, 2, 18, 720, WIDE_PRODUCTS]),
    st.sampled_from([0, None]),
    st.sampled_from(["normal", "equal", "sparse", "tiny", "zero"]),
    st.integers(0, 2**32 - 1),
)
def test_wide_weights_fit_and_are_near(
    outputs: int, products: int, axis: int | None, kind: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 1, (outputs, products, 1, 1)).astype(F32)
    if kind == "equal":
        weight = np.where(weight < 0, F32(-1), F32(1))
    elif kind == "sparse":
        weight *= rng.random(weight.shape) < 0.01
    elif kind in ("tiny", "zero"):
        weight *= F32(1e-42 if kind == "tiny" else 0)
    codes, scale = quantize_wide(weight, axis=axis)
    assert codes.dtype == np.int16
    assert codes.shape == weight.shape
    assert scale.shape == ((outputs,) if axis == 0 else (1,))
    size = np.abs(codes.astype(np.int64))
    assert size.max() <= WIDE_LIMIT
    assert size.sum((1, 2, 3)).max() <= WIDE_SUM
    made = codes * scale.astype(np.float64).reshape(-1, 1, 1, 1)
    # Half a code, and what float32 rounds of the scale, 32,767 times 2^-24.
    assert (np.abs(made - weight) <= 0.51 * scale.reshape(-1, 1, 1, 1)).all()
    # All codes there are, or all of the sum.
    if kind in ("normal", "equal"):
        most = size.max() > 0.99 * WIDE_LIMIT
        assert most or size.sum((1, 2, 3)).max() > 0.9 * (WIDE_SUM - products / 2)


def test_factors_are_powers_of_two_and_bring_channels_to_one_range() -> None:
    before = prepare(network())
    after, edges = own_edges(before, ["pairs"], data())
    assert list(edges) == ["pairs"]
    assert list(edges["pairs"]) == EDGES
    factor = before.constants["w2"][:, 0, 0, 0] / after.constants["w2"][:, 0, 0, 0]
    assert (np.frexp(factor)[0] == 0.5).all()
    assert factor.max() / factor.min() > 100
    for edge in edges["pairs"].values():
        assert (edge.scale.bits, edge.scale.zero) == (16, 0)
        assert np.frexp(edge.scale.scale)[0] == 0.5
    peaks = [
        np.abs(Oracle(n.model.SerializeToString(), name="n", expose=("q",)).run(data()[0])["q"])
        for n in (before, after)
    ]
    each = [peak.max((0, 2, 3)) for peak in peaks]
    assert each[0].max() / each[0].min() > 100
    assert each[1].max() / each[1].min() < 3
    # A quarter more than what was seen is no code at the end.
    assert 1.25 * each[1].max() <= 32767 * edges["pairs"]["narrow"].scale.scale


def test_a_channel_that_is_always_0_has_some_factor() -> None:
    model = network(act="Relu")
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if tensor.name in ("w2", "b2"):
            values[0] = 0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    after, edges = own_edges(prepare(model), ["pairs"], data())
    assert edges
    assert all(np.isfinite(values).all() for values in after.constants.values())


@pytest.mark.parametrize(
    "changes",
    [{"ends": 9}, {"c": 4, "groups": 2}, {"first": {"strides": [2, 2]}, "add": False},
     {"last": {"dilations": [2, 1], "pads": [2, 0, 2, 0]}},
     {"again": "q"}, {"again": "p"}, {"act": "Tanh"}, {"last": {"pads": [0] * 4}, "add": False},
     {"act": "Relu", "bias": False}],
)  # fmt: skip
def test_what_is_no_bottleneck_stays_float(changes: dict[str, Any]) -> None:
    """Too wide at the ends or too narrow between; strided, dilated; read again; a curve; a smaller
    result; a middle that would be QCONV2D."""
    found = prepare(network(**changes))
    x = data(ends=changes.get("ends", 2))
    after, edges = own_edges(found, ["pairs"], x)
    assert after is found
    assert edges == {}
    assert own_edges(prepare(network()), [], x)[1] == {}


def test_what_stands_between_two_is_an_edge_of_the_first() -> None:
    """2 -> 8, pairs, 8 -> 8, pairs, 8 -> 2 channels."""
    rng = np.random.default_rng(6)
    stored, nodes, name = [], [], "x"
    for i, shape in enumerate([(8, 2), (8, 2), (8, 8), (8, 2), (2, 8)]):
        weight = rng.normal(0, 0.2, (*shape, 3, 3)).astype(F32)
        bias = rng.normal(0, 1, shape[0]).astype(F32)
        stored += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        how = {"pads": [1] * 4, "group": 4 if i in (1, 3) else 1}
        nodes.append(
            helper.make_node("Conv", [name, f"w{i}", f"b{i}"], [f"c{i}"], name=f"conv{i}", **how)
        )
        name = "y" if i == 4 else f"a{i}"
        nodes.append(helper.make_node("LeakyRelu", [f"c{i}"], [name], name=f"act{i}"))
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["n", 2, 16, 16]) for end in "xy"]
    graph = helper.make_graph(nodes, "two", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    _, edges = own_edges(prepare(model), ["conv1", "conv3"], data())
    assert {layer: list(two) for layer, two in edges.items()} == {"conv1": ["conv0", "conv2"]}
    made = study(model)
    plan = compile_model(made.model(advance=lambda: None), part="p", side="bs")
    blocks = [step for step in plan.steps if step.op is Op.CONV_BLOCK]
    assert [plan.tensors[step.inputs[1] or 0].dtype for step in blocks] == [DType.I16]


def test_calibration_that_is_not_finite() -> None:
    x = data()
    x[1][0, 0, 0, 0] = np.inf
    with pytest.raises(InputError, match="holds NaN or infinity"):
        own_edges(prepare(network()), ["pairs"], x)


@pytest.mark.parametrize("bits", [8, 16])
def test_the_file(bits: int) -> None:
    """Codes and weights of 16 bits; the sum reads x as it is."""
    model = written(bits)
    made = {name: node for node in model.graph.node for name in node.output}
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}
    for name, scales in (("wide", 8), ("narrow", 1)):
        back = made[nodes[name].input[0]]
        assert back.op_type == "DequantizeLinear"
        step, zero = (stored[end] for end in back.input[1:])
        assert (np.frexp(step)[0], zero.dtype, zero) == (0.5, np.int16, 0)
        assert made[back.input[0]].op_type == "QuantizeLinear"
        codes, scale, _ = (stored[end] for end in made[nodes[name].input[1]].input)
        assert codes.dtype == np.int16
        assert scale.size == scales
        assert np.abs(codes.astype(np.int64)).sum((1, 2, 3)).max() <= WIDE_SUM
        assert stored[nodes[name].input[2]].dtype == F32
    assert nodes["sum"].input[1] == "x"
    assert made[made[nodes["wide"].input[0]].input[0]].input[0] == "x"


def convolve(x: Array, weight: Array, pads: tuple[int, int], groups: int = 1) -> Array:
    """(n, C, H, W) and (O, C / groups, kh, kw), whole numbers."""
    kh, kw = weight.shape[2:]
    padded = np.pad(
        x.astype(np.int64),
        ((0, 0), (0, 0), (pads[0], kh - 1 - pads[0]), (pads[1], kw - 1 - pads[1])),
    )
    parts = []
    for own, part in zip(
        np.split(weight.astype(np.int64), groups), np.split(padded, groups, axis=1), strict=True
    ):
        windows = np.lib.stride_tricks.sliding_window_view(part, (kh, kw), axis=(2, 3))
        parts.append(np.einsum("nchwij,ocij->nohw", windows, own))
    return np.concatenate(parts, axis=1)


def of_block(plan: Plan, x: Array) -> Array:
    """The block from its tensors, in int64 and single steps of float32."""
    (step,) = plan.steps
    p = step.params
    expand, rows, middle, project, bias, slope = (stored(plan, step, i) for i in range(1, 7))
    assert (expand.dtype, middle.dtype, project.dtype) == (np.int16, np.int8, np.int16)
    row = [r.reshape(1, -1, 1, 1) for r in rows]
    pads = [(int(p[f"pad_top_{i}"]), int(p[f"pad_left_{i}"])) for i in (1, 2, 3)]

    def code(values: Array, scale: float, low: int, high: int, zero: int = 0) -> Array:
        return np.clip(np.rint(values / F32(scale)) + zero, low, high).astype(np.int64) - zero

    def scaled(sums: Array, factor: Array, more: Array) -> Array:
        assert np.abs(sums).max() < 2**31
        return np.asarray(sums.astype(np.int32).astype(F32) * factor + more, F32)

    def act(values: Array, factor: Array) -> Array:
        return np.where(values < 0, values * factor, values)

    xq = code(x, p["x_scale"], -32768, 32767)
    v = act(scaled(convolve(xq, expand, pads[0]), row[5], row[0]), row[1])
    ends = (0, 255) if p["code_bits"] == 8 else (-32768, 32767)
    q = code(v, p["code_scale"], *ends, zero=int(p["code_zero"]))
    sums = convolve(q, middle, pads[1], int(p["groups"]))
    m = act(scaled(sums, row[4], row[2]), row[3])
    mq = code(m, p["m_scale"], -32768, 32767)
    t = convolve(mq, project, pads[2])
    y = scaled(t, F32(p["y_scale"]), bias.reshape(1, -1, 1, 1) + x)
    return act(y, slope.reshape(1, -1, 1, 1))


def stored(plan: Plan, step: Step, place: int) -> Array:
    tensor = plan.tensors[step.inputs[place] or 0]
    shape = tuple(int(size) for size in tensor.shape)
    count = int(np.prod(shape))
    flat = np.frombuffer(bytes(plan.weights), tensor.dtype.numpy, count, tensor.place)
    return flat.reshape(shape)


@pytest.mark.parametrize("bits", [8, 16])
def test_the_block_is_integers_to_the_bit(bits: int) -> None:
    plan = compile_model(written(bits), part="block", side="bs")
    assert [step.op for step in plan.steps] == [Op.CONV_BLOCK]
    x = data(seed=9)[0]
    x[0, 0, 0, :3] = (1e9, -1e9, 40)  # beyond the codes
    expected = of_block(plan, x)
    bundle = write_bundle(plan)
    for isa in instruction_sets():
        made = Part(bundle, isa=isa).run(x)[0]
        np.testing.assert_array_equal(made, expected, err_msg=isa)


@pytest.mark.parametrize("bits", [8, 16])
def test_it_is_near_the_float_network(bits: int) -> None:
    """The edges add next to nothing to what the middle's codes and weights cost."""
    x = data(seed=9)[0]
    exact = Oracle(network().SerializeToString(), name="block").run(x)["y"].astype(np.float64)
    ours = Part(write_bundle(compile_model(written(bits), part="b", side="bs"))).run(x)[0]
    made = study()
    made.bits["pairs"] = bits
    made.edges = {}
    plain = made.model(advance=lambda: None)
    theirs = Oracle(plain.SerializeToString(), name="plain").run(x)["y"].astype(np.float64)
    noise = [np.mean((found - exact) ** 2) for found in (ours, theirs)]
    # 16 bits are 90 dB below the largest value, 8 bits of weights 45 dB.
    assert noise[0] < 1.02 * noise[1]


def test_only_the_edges_are_judged_and_dropped() -> None:
    """At 30 dB below the noise of 16 bits they cost more than 0.01 dB."""
    for level_db, keeps in ((-20.0, True), (-110.0, False)):
        made = study()
        expected = [Oracle(made.network.model.SerializeToString(), name="n").run(x) for x in data()]
        steps: list[int] = []
        judge = noise_judge(expected, level_db)
        made.sweep(["y"], judge, advance=lambda to=steps: to.append(1))
        assert ("pairs" in made.edges) == keeps
        assert [(row.layer, row.kind, row.bits) for row in made.rows()] == [
            ("wide", "edge", 16 if keeps else FLOAT),
            ("pairs", "layer", 8),
            ("narrow", "edge", 16 if keeps else FLOAT),
        ]
        assert len(steps) == 2 * 2 + 1
        plan = compile_model(made.model(advance=lambda: None), part="b", side="bs")
        (step,) = plan.steps
        assert step.op is Op.CONV_BLOCK
        assert plan.tensors[step.inputs[1] or 0].dtype is (DType.I16 if keeps else DType.F32)
        assert plan.tensors[step.inputs[3] or 0].dtype is DType.I8


def test_edges_go_with_their_layer() -> None:
    made = study()
    made.bits["pairs"] = FLOAT
    assert made.model(advance=lambda: None) is made.network.model
    assert {row.bits for row in made.rows()} == {FLOAT}
