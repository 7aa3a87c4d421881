"""The codebook functions and the parts that they stand in, against NumPy and other runtimes."""

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from test_functions import call

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import codebook_layout, compile_model
from csideploy.export.functions import attach_functions
from csideploy.export.inline import inline_functions
from csideploy.export.integer import payload as spec
from csideploy.export.interface import (
    append_codebook,
    dequantizer_model,
    prepend_codebook,
    quantizer_model,
)
from csideploy.export.macs import costs, total
from csideploy.export.plan import Op, PayloadLayout
from csideploy.export.widths import pack_widths, unpack_widths
from csideploy.onnx_oracle import Oracle
from csideploy.quantizers.scalar import Codebook
from csideploy.runtime import Part

Array = NDArray[Any]
U8, F32 = np.uint8, np.float32
CASES = {
    "one output": [3],
    "even": [0, 8],
    "odd": [2, 0, 5, 1, 8],
    "zeros at the ends": [0, 0, 7, 4, 0, 0],
    "a byte and a bit": [4, 4, 1],
    "many": [(7 * i) % 9 for i in range(65)],
    "the most": [8] * 512,
}


def codebook(widths: list[int]) -> Codebook:
    rng = np.random.default_rng(len(widths))
    values = np.concatenate([np.sort(rng.normal(size=1 << b)) for b in widths])
    return Codebook(np.array(widths, U8), values.astype(F32)).rounded()


def features(book: Codebook, seed: int = 0) -> Array:
    x = np.random.default_rng(seed).normal(size=(7, book.outputs)).astype(F32)
    begins = np.cumsum(book.sizes - 1) - (book.sizes - 1)
    sent = np.flatnonzero(book.widths)
    x[0, sent] = book.thresholds[begins[sent]]
    x[1], x[2, ::2], x[3] = np.nan, np.inf, -np.inf
    return x


@pytest.mark.parametrize("widths", CASES.values(), ids=CASES)
def test_functions(widths: list[int]) -> None:
    book, table = codebook(widths), pack_widths(widths)
    x = features(book)
    codes = book.quantize(x)
    constants: dict[str, Any] = {"t": book.thresholds, "w": table}
    for got in call("CodebookQuantize", TensorProto.UINT8, x, constants=constants):
        np.testing.assert_array_equal(got, codes)
    rng = np.random.default_rng(1)
    dirty = rng.integers(0, 256, codes.shape).astype(U8)  # high bits set: they must be ignored
    payload = spec.pack_widths(dirty, table)
    for got in call("PackWidths", TensorProto.UINT8, dirty, constants={"w": table}):
        np.testing.assert_array_equal(got, payload)
    noise = rng.integers(0, 256, payload.shape).astype(U8)  # the pad is not zero either
    again = spec.unpack_widths_of(noise, table, len(widths))
    count = len(widths)
    for got in call("UnpackWidths", TensorProto.UINT8, noise, constants={"w": table}, count=count):
        np.testing.assert_array_equal(got, again)
    for values in (book.values, book.values.astype(np.float16)):
        constants = {"b": values, "w": table}
        for got in call("CodebookDequantize", TensorProto.FLOAT, dirty, constants=constants):
            np.testing.assert_array_equal(got, book.dequantize(dirty))


def test_the_table_of_widths() -> None:
    for widths in CASES.values():
        assert unpack_widths(pack_widths(widths), len(widths)).tolist() == widths
    assert pack_widths([1, 2, 3]).tolist() == [0x12, 0x30]


@pytest.mark.parametrize("widths", CASES.values(), ids=CASES)
def test_parts(widths: list[int]) -> None:
    """Quantizer and dequantizer, compiled, beside both runtimes; the layout of the payload."""
    book = codebook(widths)
    x = features(book)
    ends = quantizer_model(book), dequantizer_model(book)
    plans = []
    for model, part in zip(ends, ("quantizer", "dequantizer"), strict=True):
        onnx.checker.check_model(model, full_check=True)
        plans.append(compile_model(model, part=part, side="ue"))
        data = write_bundle(plans[-1])
        assert read_bundle(data).payload == plans[-1].payload == codebook_layout(widths)
        layout = Part(data).payload
        assert layout is not None
        assert (layout.count, layout.bits) == (len(widths), 0)
        assert layout.nbytes == -(-sum(widths) // 8)
    codes, payload = Part(write_bundle(plans[0])).run(x)
    np.testing.assert_array_equal(codes, book.quantize(x))
    other = Oracle(ends[0].SerializeToString(), name="quantizer").run(x)
    np.testing.assert_array_equal(payload, other["payload"])
    (values,) = Part(write_bundle(plans[1])).run(payload)
    np.testing.assert_array_equal(values, book.dequantize(codes))
    (theirs,) = ReferenceEvaluator(ends[1]).run(None, {"payload": payload})
    np.testing.assert_array_equal(values, theirs)
    rows = [total(costs(plan)) for plan in plans]
    assert rows[0].elementwise == rows[0].bit_operations == rows[1].bit_operations == sum(widths)
    nibbles = -(-len(widths) // 2)
    assert rows[0].stored_bytes == nibbles + 4 * len(book.thresholds)
    assert rows[1].stored_bytes == nibbles + 2 * len(book.values)
    assert rows[1].parameters == len(widths) + len(book.values)


def test_values_are_those_of_the_bs() -> None:
    """Float32 values are rounded once, and the UE's thresholds lie between the rounded ones."""
    rng = np.random.default_rng(3)
    fine = Codebook(np.array([8, 8], U8), np.tile(np.sort(rng.normal(size=256)), 2).astype(F32))
    near = fine.rounded()
    assert (fine.thresholds != near.thresholds).any()
    stored = {t.name: numpy_helper.to_array(t) for t in quantizer_model(fine).graph.initializer}
    np.testing.assert_array_equal(stored["payload.thresholds"], near.thresholds)
    stored = {t.name: numpy_helper.to_array(t) for t in dequantizer_model(fine).graph.initializer}
    assert stored["payload.book"].dtype == np.float16
    np.testing.assert_array_equal(stored["payload.book"], near.values)


def test_inlined_files() -> None:
    """Standard operators alone, as other runtimes get them."""
    book = codebook(CASES["odd"])
    x = features(book)
    ends = [inline_functions(model) for model in (quantizer_model(book), dequantizer_model(book))]
    assert not any(model.functions for model in ends)
    sent = Oracle(ends[0].SerializeToString(), name="inlined").run(x)
    np.testing.assert_array_equal(sent["codes"], book.quantize(x))
    got = Oracle(ends[1].SerializeToString(), name="inlined").run(sent["payload"])
    np.testing.assert_array_equal(got["feature"], book.dequantize(sent["codes"]))


def identity(count: int) -> ModelProto:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", count]) for name in ("x", "y")
    ]
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"], name="payload.widths")], "g", ends[:1], ends[1:]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_ends_of_a_network() -> None:
    book = codebook(CASES["odd"])
    ue, bs = identity(5), identity(5)
    append_codebook(ue, book)
    prepend_codebook(bs, book)
    for model in (ue, bs):
        attach_functions(model)
    assert [node.name for node in ue.graph.node[1:]] == [
        "payload.CodebookQuantize", "payload.PackWidths",
    ]  # fmt: skip
    assert [node.name for node in bs.graph.node[:2]] == [
        "payload.UnpackWidths", "payload.CodebookDequantize",
    ]  # fmt: skip
    assert [o.name for o in ue.graph.output] == ["codes", "payload"]
    assert [i.name for i in bs.graph.input] == ["payload"]
    plan = compile_model(ue, part="encoder", side="ue")
    x = features(book)
    codes, payload = Part(write_bundle(plan)).run(x)
    np.testing.assert_array_equal(codes, book.quantize(-x))
    (y,) = Part(write_bundle(compile_model(bs, part="decoder", side="bs"))).run(payload)
    np.testing.assert_array_equal(y, -book.dequantize(codes))


def test_what_a_codebook_must_be() -> None:
    with pytest.raises(InputError, match="codebook of 5 outputs; the feature has 4"):
        append_codebook(identity(4), codebook(CASES["odd"]))
    nothing = Codebook(np.zeros(3, U8), np.zeros(3, F32))
    for make in (quantizer_model, dequantizer_model):
        with pytest.raises(InputError, match="sends no bits"):
            make(nothing)


def with_constant(model: ModelProto, name: str, data: Array) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    stored = next(t for t in copy.graph.initializer if t.name == f"payload.{name}")
    stored.CopyFrom(numpy_helper.from_array(data, stored.name))
    return copy


def refused() -> dict[str, tuple[ModelProto, str]]:
    book = codebook([2, 0, 3])
    ue, bs = quantizer_model(book), dequantizer_model(book)
    down = book.thresholds.copy()
    down[8] = -9
    infinite = np.append(book.thresholds[:-1], F32(np.inf))
    nothing = book.values.astype(np.float16)
    nothing[0] = np.nan
    rows: dict[str, tuple[ModelProto, str, Array, str]] = {
        "short table": (ue, "widths", pack_widths([2]), r"uint8 \(2,\) fit 3 outputs"),
        "type of the table": (ue, "widths", np.zeros(2, np.int8), r"widths int8"),
        "nine bits": (ue, "widths", np.array([0x90, 0], U8), "9 bits a code"),
        "tail": (ue, "widths", np.array([0x20, 0x31], U8), "behind the last output"),
        "no bits": (bs, "widths", np.zeros(2, U8), "nothing crosses the air"),
        "thresholds": (ue, "thresholds", down[:-1], r"float32 \(10,\) fit widths"),
        "falling": (ue, "thresholds", down, "thresholds of output 2 fall"),
        "infinite": (ue, "thresholds", infinite, "a threshold is not finite"),
        "bytes": (bs, "widths", pack_widths([8, 8, 3]), "a payload of 1 bytes; the widths make 3"),
        "book": (bs, "book", nothing[:-1], r"float16 \(13,\) fit the widths"),
        "type of the book": (bs, "book", nothing.astype(float), "book float64"),
        "value": (bs, "book", nothing, "a value of the book is not finite"),
    }
    return {name: (with_constant(m, c, d), why) for name, (m, c, d, why) in rows.items()}


@pytest.mark.parametrize("name", refused())
def test_refusals(name: str) -> None:
    model, why = refused()[name]
    with pytest.raises(UnsupportedError, match=why):
        compile_model(model, part="p", side="ue")


def test_count_must_be_positive() -> None:
    model = dequantizer_model(codebook([3]))
    model.graph.node[0].attribute[0].i = 0
    with pytest.raises(UnsupportedError, match="0 codes"):
        compile_model(model, part="p", side="bs")


def test_declared_layouts() -> None:
    book = codebook([2, 0, 3])
    model = quantizer_model(book)
    right = codebook_layout([2, 0, 3], budget=4)
    plan = compile_model(model, part="p", side="ue", payload=right)
    assert plan.payload == right == PayloadLayout(0x0204, 3, 0, (2, 0, 3))
    assert right.nbytes == 1
    for wrong in (codebook_layout([3, 0, 2]), PayloadLayout(0x0102, 3, 2)):
        with pytest.raises(InputError, match="declared, but the network makes"):
            compile_model(model, part="p", side="ue", payload=wrong)
    with pytest.raises(InputError, match="the network packs none"):
        compile_model(identity(3), part="p", side="ue", payload=right)


def test_steps() -> None:
    plan = compile_model(quantizer_model(codebook([2, 0, 3])), part="p", side="ue")
    assert [step.op for step in plan.steps] == [Op.QUANTIZE_CODEBOOK, Op.PACK_WIDTHS]
    assert plan.steps[0].inputs[2] == plan.steps[1].inputs[1], "the widths are stored once"
