"""Where activations are quantized, and what belongs to what."""

import numpy as np
from onnx import TensorProto, helper
from tiny_networks import encoder, floats, network, residual

from csideploy.export.functions import DOMAIN
from csideploy.export.quantize.points import find_points
from csideploy.export.quantize.prepare import prepare

node = helper.make_node


def test_a_residual_network() -> None:
    points = find_points(prepare(residual()))
    # No point between Conv and Relu, nor between Add and PRelu; a Reshape shares its input's.
    assert [point.tensors for point in points] == [
        ["x"], ["n1"], ["a1"], ["c2"], ["a2"], ["c3"], ["a3"], ["a4", "row"], ["y"],
    ]  # fmt: skip
    assert points[1].layer == "node.c1"
    assert all(point.fixed is None for point in points)


def test_in_front_of_the_payload_are_sixteen_bits() -> None:
    points = {point.name: point for point in find_points(prepare(encoder()))}
    assert set(points) == {"x", "c", "a", "fc"}
    assert points["fc"].fixed == 16
    assert points["a"].fixed is None


def test_a_decoder_begins_with_exact_codes() -> None:
    from csideploy.export.functions import attach_functions
    from csideploy.export.interface import prepend_dequantizer

    nodes = [node("Gemm", ["x", "w"], ["y"], transB=1)]
    model = network(nodes, {"w": floats(4, 6, seed=1)}, ("n", 6), "y")
    prepend_dequantizer(model, 4)
    attach_functions(model)
    (first, *_) = find_points(prepare(model))
    assert (first.name, first.fixed, first.exact_bits) == ("feature", 8, 4)


def test_joined_tensors_share_a_scale_and_functions_stay_float() -> None:
    constants = {"w": floats(3, 2, 1, 1, seed=1), "v": floats(2, 6, 1, 1, seed=2)}
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Conv", ["x", "w"], ["b"]),
        node("Concat", ["a", "b"], ["joined"], axis=1),
        node("Conv", ["joined", "v"], ["c"]),
        node("Tanh", ["c"], ["y"]),
    ]
    points = find_points(prepare(network(nodes, constants, ("n", 2, 4, 4), "y")))
    assert [point.tensors for point in points] == [["x"], ["a", "b", "joined"], ["c"]]


def test_bytes_and_bits_are_their_own_codes() -> None:
    from csideploy.export.quantize.observe import Statistics
    from csideploy.export.ru_models import network_decoder_model

    layers = [(floats(4, 6, seed=1), floats(4, seed=2)), (floats(2, 4, seed=3), floats(2, seed=4))]
    points = find_points(prepare(network_decoder_model(layers, block=3, bits=6)))
    assert [point.tensors for point in points] == [
        ["bits", "bits.rows"], ["hidden1"], ["layer2", "signal"],
    ]  # fmt: skip
    assert [(point.whole, point.fixed) for point in points] == [
        (True, 8), (False, None), (False, None),
    ]  # fmt: skip
    scale = Statistics().scale(points[0], 8)
    assert (scale.scale, scale.zero, scale.bits) == (1.0, 0, 8)


def test_floats_joined_with_bytes_are_no_bytes() -> None:
    nodes = [
        node("Cast", ["q"], ["a"], to=1),
        node("Relu", ["a"], ["b"]),
        node("Concat", ["a", "b"], ["joined"], axis=1),
        node("Gemm", ["joined", "w"], ["y"], transB=1),
    ]
    model = network(nodes, {"w": floats(4, 6, seed=1)}, ("n", 3), "y")
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("q", 2, ["n", 3]))
    (first, *_) = find_points(prepare(model))
    assert first.tensors == ["a", "b", "joined"]
    assert not first.whole


def test_what_only_an_inverse_reads_stays_float() -> None:
    """Its layers and sums have no points, though others read the same input."""
    constants = {
        "c": floats(2, 2, seed=1), "s": floats(8, 1, seed=2), "b": floats(1, seed=3),
        "w": floats(8, 5, seed=4), "v": floats(2, 3, seed=5), "axis": np.array([1]),
    }  # fmt: skip
    nodes = [
        node("Reshape", ["x", "cut"], ["pieces"]),
        node("MatMul", ["pieces", "c"], ["h"]),
        node("MatMul", ["x", "s"], ["share"]),
        node("Add", ["share", "b"], ["log"]),
        node("ReduceSum", ["log", "axis"], ["loading"], keepdims=0),
        node("ZeroForcing", ["h", "loading"], ["W"], domain=DOMAIN),
        node("MatMul", ["x", "w"], ["plain"]),
        node("MatMul", ["W", "v"], ["y"]),
        node("Tanh", ["plain"], ["z"]),
    ]
    constants["cut"] = np.array([0, 0, 4, 2])
    model = network(nodes, constants, ("n", 3, 8), "y")
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    made = prepare(model)
    assert made.inverted == {"pieces", "h", "share", "log", "loading"}
    assert [p.tensors for p in find_points(made)] == [["x"], ["W"], ["plain"], ["y"]]
