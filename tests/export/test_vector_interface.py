"""Vectors with one shared codebook, in standard operators: compiled, run, and against NumPy."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from csideploy.band import band_of
from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.functions import attach_functions
from csideploy.export.plan import PayloadLayout
from csideploy.export.vector_interface import (
    append_vector_quantizer,
    prepend_vector_dequantizer,
)
from csideploy.onnx_oracle import Oracle
from csideploy.payload import pack_codes
from csideploy.runtime import Part

OUTPUTS = 24


def around(end: str) -> onnx.ModelProto:
    """x (n, M) -> tanh -> feature, or feature -> tanh -> h."""
    names = ("x", "feature") if end == "ue" else ("feature", "h")
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", OUTPUTS]) for n in names]
    node = helper.make_node("Tanh", names[:1], names[1:], name="tanh")
    graph = helper.make_graph([node], end, infos[:1], infos[1:])
    imports = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def finished(model: onnx.ModelProto) -> bytes:
    attach_functions(model)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def book_of(length: int, bits: int, seed: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.uniform(-0.9, 0.9, (1 << (length * bits), length)).astype(np.float32)


@pytest.mark.parametrize(("length", "bits"), [(1, 3), (1, 8), (2, 1), (2, 4), (4, 1), (4, 2)])
def test_both_ends(length: int, bits: int) -> None:
    book = book_of(length, bits)
    ue, bs = around("ue"), around("bs")
    append_vector_quantizer(ue, book)
    prepend_vector_dequantizer(bs, book)
    files = {"ue": finished(ue), "bs": finished(bs)}
    x = np.random.default_rng(5).standard_normal((50, OUTPUTS)).astype(np.float32)
    feature = np.tanh(x.astype(np.float64))
    groups = feature.reshape(50, OUTPUTS // length, length)
    distance = ((groups[:, :, None] - book.astype(np.float64)) ** 2).sum(-1)
    codes = distance.argmin(-1).astype(np.uint8)
    payload = pack_codes(codes, length * bits)

    plans = {
        side: compile_model(onnx.load_model_from_string(data), part="p", side=side)
        for side, data in files.items()
    }
    layout = PayloadLayout(0x0100 + length * bits, OUTPUTS // length, length * bits)
    assert plans["ue"].payload == plans["bs"].payload == layout
    parts = {side: Part(write_bundle(plan)) for side, plan in plans.items()}
    made = parts["ue"].run(x)
    theirs = Oracle(files["ue"], name="ue").run(x)
    # Distances of float32 differ in the last bits: where the two nearest are equal but for these,
    # the codes may differ.
    smallest = np.sort(distance, axis=-1)[..., :2]
    clear = np.diff(smallest)[..., 0] > 1e-6
    assert clear.mean() > 0.9
    for codes_made, payload_made in (made, (theirs["codes"], theirs["payload"])):
        np.testing.assert_array_equal(codes_made[clear], codes[clear])
        np.testing.assert_array_equal(payload_made, pack_codes(codes_made, length * bits))
    (h,) = parts["bs"].run(payload)
    expected = np.tanh(book.astype(np.float64)[codes].reshape(50, OUTPUTS))
    np.testing.assert_allclose(h, expected, atol=1e-6)
    np.testing.assert_allclose(
        Oracle(files["bs"], name="bs").run(payload)["h"], expected, atol=1e-6
    )
    band = band_of(plans["ue"])
    assert band is not None
    exposed = Oracle(files["ue"], name="ue", expose=(band.tensor,)).run(x)[band.tensor]
    near = band.near(exposed)
    assert near.shape == codes.shape
    assert near[~clear].all()


def test_ties_go_to_the_lowest_index() -> None:
    book = np.array([[0.5], [0.25], [0.5], [-0.25]], np.float32)
    model = around("ue")
    append_vector_quantizer(model, book)
    data = finished(model)
    part = Part(write_bundle(compile_model(model, part="p", side="ue")))
    # tanh(0) = 0 lies midway between 0.25 and -0.25; 0.5 stands there twice.
    x = np.zeros((1, OUTPUTS), np.float32)
    x[0, 1::2] = 5.0
    expected = np.tile([1, 0], OUTPUTS // 2)[None]
    np.testing.assert_array_equal(part.run(x)[0], expected)
    np.testing.assert_array_equal(Oracle(data, name="ue").run(x)["codes"], expected)


def test_the_band_of_distances() -> None:
    from csideploy.band import near_distances

    distances = np.array([[[1.0, 0.2, 0.2 + 5e-6], [0.3, 0.1, 0.2], [2e3, 2e3 + 1e-2, 3e3]]])
    np.testing.assert_array_equal(near_distances(distances), [[True, False, True]])


@pytest.mark.parametrize(
    ("book", "words"),
    [
        (np.zeros((4, 3), np.float32), "with L 1, 2 or 4"),
        (np.zeros((4, 2)), "float64"),
        (np.zeros(4, np.float32), r"\(4,\)"),
        (np.zeros((6, 1), np.float32), "6 vectors of 1"),
        (np.zeros((8, 2), np.float32), "8 vectors of 2"),
        (np.zeros((512, 1), np.float32), "1 B <= 8"),
        (np.full((4, 1), np.nan, np.float32), "not finite"),
    ],
)
def test_books_that_do_not_fit(book: np.ndarray, words: str) -> None:
    for change, side in ((append_vector_quantizer, "ue"), (prepend_vector_dequantizer, "bs")):
        with pytest.raises(InputError, match=words):
            change(around(side), book)


def test_a_feature_that_the_length_does_not_divide() -> None:
    model = around("ue")
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[1].dim_value = 22
    with pytest.raises(InputError, match="vectors of 4 do not divide a feature of 22"):
        append_vector_quantizer(model, np.zeros((16, 4), np.float32))
