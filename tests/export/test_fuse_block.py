"""Three convolutions become a block: with the bits of the steps that they were, or with ONNX
Runtime's numbers where codes stand between. Others stay what they were."""

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto
from plan_interpreter import run_plan
from small_models import floats, model, node

from csideploy.export import compile as compiler
from csideploy.export.bundle_write import write_bundle
from csideploy.export.check import check_graph
from csideploy.export.check_shapes import GraphError
from csideploy.export.compile import compile_model
from csideploy.export.graph import Graph, Node, Value
from csideploy.export.passes import PIPELINE
from csideploy.export.plan import DType, Op, Plan
from csideploy.runtime import Part

Array = Any
WIDE, GROUPS = 12, 4
SHAPE: tuple[Any, ...] = ("n", 2, 6, 7)


def whole(seed: int, *shape: int) -> Array:
    """Small multiples of 1/8: sums and products are exact, so that codes are the same ones."""
    return (np.random.default_rng(seed).integers(-8, 9, shape) / 8).astype(np.float32)


class Built:
    """expand, PReLU, [codes], middle, LeakyRelu, project, residual, PReLU; each may be another."""

    def __init__(self, **changes: Any) -> None:
        self.how: dict[str, Any] = {
            "kernels": ((1, 5), (3, 3), (5, 1)),
            "wide": WIDE,
            "groups": GROUPS,
            "outputs": 2,
            "middle": {},
            "between": ("PRelu", "LeakyRelu"),
            "residual": True,
            "read_again": None,
            "coded": False,
            "zero": 100,
            "weight_scale": 0.02,
            "kind": np.uint8,
            "scale": 0.125,
            "more": 0.0,
            "edges": (),
            "turned": False,
            "x_scale": 2.0**-8,
            "m_scale": 2.0**-5,
            "edge_scales": (2.0**-11, 2.0**-7),
            **changes,
        }
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.outputs: list[str] = ["y"]

    def node(self, op: str, inputs: list[str], result: str, **attributes: Any) -> str:
        self.nodes.append(node(op, inputs, [result], name=f"block/{result}/{op}", **attributes))
        return result

    def constant(self, name: str, value: Array) -> str:
        self.constants[name] = np.asarray(value)
        return name

    def convolution(self, place: int, x: str, outputs: int, inputs: int, **attributes: Any) -> str:
        kh, kw = self.how["kernels"][place]
        weight = self.constant(f"w{place}", whole(place, outputs, inputs, kh, kw))
        if place == 1 and self.how["coded"]:
            shape = (outputs, inputs, kh, kw)
            codes = np.random.default_rng(1).integers(-127, 128, shape).astype(np.int8)
            scale = np.broadcast_to(np.float32(self.how["weight_scale"]), outputs)
            each = np.linspace(1, 2, outputs, dtype=np.float32)
            if self.how["edges"]:  # so that the sums are exact in float32, too
                each = np.exp2(np.arange(outputs, dtype=np.float32) % 2)
            scale = np.ascontiguousarray(scale * each)
            ends = [self.constant("w.c", codes), self.constant("w.s", scale)]
            weight = self.node("DequantizeLinear", ends, "w.q", axis=0)
        if f"w{place}" in self.how["edges"]:
            scale = np.float32(self.how["edge_scales"][place // 2])
            codes = np.rint(self.constants.pop(weight) / scale.reshape(-1, *[1] * 3))
            ends = [self.constant(f"w{place}.c", codes.astype(np.int16))]
            ends.append(self.constant(f"w{place}.s", scale))
            axis = {"axis": 0} if scale.ndim else {}
            weight = self.node("DequantizeLinear", ends, f"w{place}.q", **axis)
        more = np.float32(self.how["more"] if place == 1 else 0)
        bias = self.constant(f"b{place}", whole(9 + place, outputs) + more)
        pads = [(kh - 1) // 2, (kw - 1) // 2, kh // 2, kw // 2]
        own = {"pads": pads, **attributes}
        return self.node("Conv", [x, weight, bias], f"conv{place}", **own)

    def activation(self, op: str, x: str, channels: int) -> str:
        if op == "PRelu":
            slope = self.constant(f"{x}.slope", whole(77, channels, 1, 1))
            return self.node(op, [x, slope], f"{x}.act")
        return self.node(op, [x], f"{x}.act") if op else x

    def codes(self, x: str) -> str:
        ends = [self.constant("q.s", np.float32(self.how["scale"]))]
        ends.append(self.constant("q.z", np.array(self.how["zero"], self.how["kind"])))
        q = self.node("QuantizeLinear", [x, *ends], "codes")
        return self.node("DequantizeLinear", [q, *ends], "decoded")

    def wide_codes(self, x: str) -> str:
        """What is read through codes of 16 bits, where `edges` says so."""
        role = "x" if x == "x" else "m"
        if role not in self.how["edges"]:
            return x
        ends = [self.constant(f"{role}.s", np.float32(self.how[f"{role}_scale"]))]
        ends.append(self.constant(f"{role}.z", np.int16(0)))
        q = self.node("QuantizeLinear", [x, *ends], f"{role}.codes")
        back = self.node("DequantizeLinear", [q, *ends], f"{role}.decoded")
        if role == "x" and self.how["turned"]:
            return self.node("Transpose", [back], "turned", perm=[0, 1, 3, 2])
        return back

    def model(self) -> ModelProto:
        wide, outputs = self.how["wide"], self.how["outputs"]
        first, second = self.how["between"]
        v = self.activation(first, self.convolution(0, self.wide_codes("x"), wide, SHAPE[1]), wide)
        if self.how["coded"]:
            v = self.codes(v)
        groups, own = self.how["groups"], self.how["middle"]
        m = self.convolution(1, v, wide, wide // groups, group=groups, **own)
        m = self.activation(second, m, wide)
        z = self.convolution(2, self.wide_codes(m), outputs, wide)
        if self.how["residual"]:
            z = self.node("Add", [z, "x"], "sum")
        self.node("PRelu", [z, self.constant("slope", whole(5, outputs, 1, 1))], "y")
        if (again := self.how["read_again"]) is not None:
            again = {"v": v, "m": m}.get(again, again)
            self.outputs.append(self.node("Neg", [again], "again"))
        return model(self.nodes, {"x": SHAPE}, self.outputs, self.constants)


def ops(plan: Plan) -> list[str]:
    return [step.op.name for step in plan.steps]


def compiled(made: ModelProto) -> Plan:
    return compile_model(made, part="p", side="bs")


def without_the_pass(made: ModelProto, monkeypatch: pytest.MonkeyPatch) -> Plan:
    with monkeypatch.context() as patch:
        rest = tuple(entry for entry in PIPELINE if entry[0] != "fuse_block")
        patch.setattr(compiler, "PIPELINE", rest)
        return compiled(made)


BLOCKS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no residual": {"residual": False},
    "no activation": {"between": ("", "")},
    "rectified": {"between": ("Relu", "Relu")},
    "two groups": {"groups": 2},
    "a group of one": {"groups": WIDE},
    "even kernels": {"kernels": ((2, 2), (4, 2), (1, 1))},
    "eight outputs": {"outputs": 8, "residual": False, "wide": 24},
}


@pytest.mark.parametrize("name", BLOCKS)
def test_floats_keep_their_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Built(**BLOCKS[name]).model()
    plan, steps = compiled(made), without_the_pass(made, monkeypatch)
    assert ops(plan) == ["CONV_BLOCK"]
    assert ops(steps) == ["CONV2D"] * 3
    assert plan.arena_bytes < steps.arena_bytes
    x = floats(3, *SHAPE[1:], seed=4, low=-3, high=3)
    (ours,), (expected,) = (Part(write_bundle(p)).run(x) for p in (plan, steps))
    assert ours.tobytes() == expected.tobytes()
    # The plan's own meaning, in float64: sums of at most 400 products of numbers below 2^7.
    np.testing.assert_allclose(run_plan(plan, x)[0], expected, rtol=1e-5, atol=1e-3)


APART: dict[str, dict[str, Any]] = {
    "x of codes too": {"read_again": "v"},
    "what the last one reads is read again": {"read_again": "m"},
    "one group": {"groups": 1},
    "a curve between": {"between": ("PRelu", "Tanh")},
    "a curve behind the first": {"between": ("Sigmoid", "PRelu")},
    "dilated": {"middle": {"dilations": [2, 1], "pads": [2, 1, 2, 1]}},
    "wide outputs": {"outputs": 9, "residual": False, "wide": 24},
    "wide groups": {"wide": 36, "groups": 4},
    "no smaller arena": {"wide": 4, "groups": 2},
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_what_stays_apart(name: str) -> None:
    made = Built(**APART[name]).model()
    plan = compiled(made)
    assert "CONV_BLOCK" not in ops(plan)
    assert ops(plan).count("CONV2D") == 3


def test_a_residual_inside_stays_apart() -> None:
    """conv1 + v between the convolutions: the block has no place for it."""
    built = Built(between=("", ""), residual=False)
    v = built.convolution(0, "x", WIDE, 2)
    m = built.convolution(1, v, WIDE, WIDE // GROUPS, group=GROUPS)
    built.node("Add", [m, built.node("Neg", ["x4"], "other")], "sum")
    built.convolution(2, "sum", 2, WIDE)
    shapes = {"x": SHAPE, "x4": ("n", WIDE, *SHAPE[2:])}
    made = model(built.nodes, shapes, ["conv2"], built.constants)
    assert "CONV_BLOCK" not in ops(compiled(made))


@pytest.mark.parametrize(("side", "stride"), [(6, 2), (1, 1)])
def test_strides_and_one_pixel_stay_apart(side: int, stride: int) -> None:
    built = Built(kernels=((3, 3),) * 3, between=("", ""))
    v = built.convolution(0, "x", WIDE, 2)
    strides = [stride, stride]
    m = built.convolution(1, v, WIDE, WIDE // GROUPS, group=GROUPS, strides=strides)
    built.convolution(2, m, 2, WIDE)
    made = model(built.nodes, {"x": ("n", 2, side, side)}, ["conv2"], built.constants)
    assert ops(compiled(made)) == ["CONV2D"] * 3


def judge_codes(plan: Plan, made: ModelProto) -> None:
    x = np.random.default_rng(3).integers(-16, 17, (5, *SHAPE[1:])).astype(np.float32) / 8
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # It would round a bias in front of a ReLU and codes to whole units.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (theirs,) = session.run(["y"], {"x": x})
    (ours,) = Part(write_bundle(plan)).run(x)
    # The codes are the same; behind them float32 in another order, 87 products of up to 60.
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())
    np.testing.assert_allclose(run_plan(plan, x)[0], ours, rtol=1e-5, atol=2e-3)
    assert len(np.unique(theirs)) > 100


@pytest.mark.parametrize(("kind", "zero"), [*((np.uint8, z) for z in (0, 100, 255)), (np.int16, 0)])
@pytest.mark.parametrize("between", [("PRelu", "LeakyRelu"), ("", "")])
def test_codes_between(kind: Any, zero: int, between: tuple[str, str]) -> None:
    bits = np.dtype(kind).itemsize * 8
    scale = 0.125 if bits == 8 else 2.0**-9
    made = Built(coded=True, kind=kind, zero=zero, scale=scale, between=between).model()
    plan = compiled(made)
    assert ops(plan) == ["CONV_BLOCK"]
    (step,) = plan.steps
    assert (step.params["code_scale"], step.params["code_zero"]) == (scale, zero)
    assert step.params["code_bits"] == bits
    assert step.inputs[3] is not None
    assert plan.tensors[step.inputs[3]].dtype is DType.I8
    judge_codes(plan, made)


@pytest.mark.parametrize(
    "changes",
    [{"groups": 1}, {"kind": np.uint16}, {"kind": np.int16}, {"kind": np.int8},
     {"read_again": "v"}, {"kernels": ((1, 1), (11, 17), (1, 1))},
     {"between": ("Tanh", "PRelu")}, {"weight_scale": 0.0}],
)  # fmt: skip
def test_codes_that_do_not_fit_stay_float(changes: dict[str, Any]) -> None:
    """3 x 11 x 17 products are too many for sums in float32."""
    made = Built(coded=True, **changes).model()
    plan = compiled(made)
    assert "CONV_BLOCK" not in ops(plan)
    assert ops(plan).count("CONV2D") == 3
    if "read_again" not in changes and "weight_scale" not in changes:
        judge_codes(plan, made)


ALL = ("x", "m", "w0", "w2")


def multipliers(plan: Plan) -> Array:
    """Of the first convolution: the last row of what a block has a number a channel of."""
    (step,) = plan.steps
    rows = plan.tensors[step.inputs[2] or 0]
    assert rows.shape == (6, WIDE)
    return np.frombuffer(bytes(plan.weights), np.float32, 6 * WIDE, rows.place)[-WIDE:]


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("between", [("PRelu", "LeakyRelu"), ("", "PRelu"), ("Relu", "Relu")])
@pytest.mark.parametrize(("kind", "zero"), [(np.uint8, 100), (np.int16, 0)])
def test_integers_from_end_to_end(
    kind: Any, zero: int, between: tuple[str, str], residual: bool
) -> None:
    """x stays a float tensor: the residual reads it. Behind a ReLU, or nothing, a bias of whole
    codes would make the middle a QCONV2D."""
    how = {"kind": kind, "zero": zero, "between": between, "residual": residual}
    how["more"] = 2.0**-14  # a quarter of a code
    made = Built(coded=True, edges=ALL, weight_scale=2.0**-9, **how).model()
    plan = compiled(made)
    assert ops(plan) == ["CONV_BLOCK"]
    (step,) = plan.steps
    types = [plan.tensors[i].dtype for i in step.inputs[:5] if i is not None]
    assert types == [DType.F32, DType.I16, DType.F32, DType.I8, DType.I16]
    scales = [step.params[f"{role}_scale"] for role in ("x", "m", "y")]
    assert scales == [2.0**-8, 2.0**-5, 2.0**-12]
    assert (multipliers(plan) == 2.0**-19).all()
    judge_codes(plan, made)


def test_scales_an_output_of_the_first_one() -> None:
    scales = 2.0 ** (-11.0 + np.arange(WIDE) % 3)
    made = Built(coded=True, edges=ALL, weight_scale=2.0**-9, edge_scales=(scales, 2.0**-7)).model()
    plan = compiled(made)
    assert (multipliers(plan) == np.float32(2.0**-8 * scales)).all()
    judge_codes(plan, made)


def test_codes_of_x_that_another_reads() -> None:
    made = Built(coded=True, edges=ALL, weight_scale=2.0**-9, read_again="x.decoded").model()
    plan = compiled(made)
    assert sorted(ops(plan)) == ["CONV_BLOCK", "DEQUANTIZE", "QUANTIZE", "UNARY"]
    block = next(step for step in plan.steps if step.op is Op.CONV_BLOCK)
    assert plan.tensors[block.inputs[0] or 0].name == "x"


def test_x_that_is_there_as_codes_alone() -> None:
    """The block reads what DEQUANTIZE makes of them, and has the same codes again."""
    made = Built(coded=True, edges=ALL, weight_scale=2.0**-9, turned=True, residual=False).model()
    plan = compiled(made)
    assert ops(plan) == ["QUANTIZE", "TRANSPOSE", "DEQUANTIZE", "CONV_BLOCK"]
    assert plan.tensors[plan.steps[3].inputs[1] or 0].dtype is DType.I16
    judge_codes(plan, made)


@pytest.mark.parametrize(
    ("edges", "is_block"),
    [(("w0", "w2"), True), (("x", "w0", "w2"), True), (("x", "w0"), True), (("x",), True),
     (("m", "w0", "w2"), False), (("x", "m", "w2"), False), (("x", "m", "w0"), False)],
)  # fmt: skip
def test_some_of_it_is_the_middle_alone(edges: tuple[str, ...], is_block: bool) -> None:
    made = Built(coded=True, edges=edges, weight_scale=2.0**-9).model()
    plan = compiled(made)
    assert ("CONV_BLOCK" in ops(plan)) == is_block
    for step in plan.steps:
        if step.op is Op.CONV_BLOCK:
            types = [plan.tensors[i].dtype for i in step.inputs[1:5] if i is not None]
            assert types == [DType.F32, DType.F32, DType.I8, DType.F32]
    judge_codes(plan, made)


@pytest.mark.parametrize(
    "changes",
    [{"x_scale": 3.0 * 2.0**-9}, {"m_scale": 0.03}, {"x_scale": 2.0**-127, "judged": False},
     {"edge_scales": (2.0**-15, 2.0**-7)}, {"edge_scales": (2.0**-11, 2.0**-12)},
     {"edge_scales": (2.0**-11, 2.0 ** -np.arange(6.0, 8.0))}, {"coded": False},
     {"read_again": "m.decoded"}],
)  # fmt: skip
def test_edges_that_do_not_fit_stay_apart(changes: dict[str, Any]) -> None:
    """No power of two; one whose reciprocal is not exact; sums beyond int32; two scales of what is
    one sum; no codes in the middle; read again."""
    how = {"coded": True, "edges": ALL, "weight_scale": 2.0**-9, **changes}
    judged = how.pop("judged", "read_again" not in how)
    made = Built(**how).model()
    plan = compiled(made)
    assert "CONV_BLOCK" not in ops(plan)
    assert ops(plan).count("CONV2D") == 3
    if judged:
        judge_codes(plan, made)


def test_names_are_what_the_layers_share() -> None:
    (step,) = compiled(Built().model()).steps
    assert step.name == "block"
    plan = compiled(Built().model())
    assert [plan.tensors[i].name for i in step.outputs] == ["y", "block.scratch"]


def test_the_graph_checker_knows_a_block() -> None:
    def value(name: str, *shape: Any, data: Array = None) -> Value:
        return Value(name, np.dtype(np.float32), shape, data)

    shapes: dict[str, tuple[int, ...]] = {
        **{"expand": (4, 2, 1, 3), "channels": (4, 4), "middle": (4, 2, 3, 3)},
        "project": (2, 4, 3, 1),
    }
    graph = Graph("p", [], {}, ["x"], ["y"])
    graph.values = {"x": value("x", *SHAPE), "y": value("y", *SHAPE), "s": value("s", 2 * 2 * 42)}
    for name, shape in shapes.items():
        graph.values[name] = value(name, *shape, data=np.ones(shape, np.float32))
    pads = {f"pad_{side}_{i}": 0 for i in (1, 2, 3) for side in ("top", "left")}
    how = {"groups": 2, **pads, "activation": 0, "alpha": 0.0, "code_scale": 1.0, "code_zero": 0}
    how |= {"code_bits": 8, "x_scale": 1.0, "m_scale": 1.0, "y_scale": 1.0}
    block = Node(Op.CONV_BLOCK, "b", ["x", *shapes, "", "", ""], ["y", "s"], how)
    graph.nodes = [block]
    check_graph(graph, "a pass")
    for changes, fault in (
        ({"groups": 1}, "groups"),
        ({"pad_top_2": 3}, "pads"),
        ({"pad_left_1": 3}, "pads"),
        ({"code_bits": 12}, "codes"),
    ):
        block.attributes = {**how, **changes}
        with pytest.raises(GraphError, match=fault):
            check_graph(graph, "a pass")
    block.attributes = how
    graph.values["s"] = value("s", 5)
    with pytest.raises(GraphError, match="scratch"):
        check_graph(graph, "a pass")
