"""The field's networks: torch -> ONNX -> plan, against ONNX Runtime on the same file.

Random weights, batch norm statistics and slopes; inputs never zero. The plan is run twice: by a
float64 NumPy interpreter, which judges the exporter, the passes and the planner alone, and as a
bundle by the C runtime.
"""

import functools
import io
import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, numpy_helper
from plan_interpreter import run_plan

from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.inline import inline_functions
from csideploy.export.macs import costs, total
from csideploy.export.plan import Op, Plan
from csideploy.export.torch_onnx import export_part
from csideploy.runtime import Part

torch = pytest.importorskip("torch")
pytest.importorskip("brevitas")

from csideploy import registry  # noqa: E402
from csideploy.systems import build  # noqa: E402

# The encoder does not depend on ACRNet's width.
ENCODERS = ("bacrnet10x", "acrnet1x", "csinet", "crnet", "bcsinet-b3")
DECODERS = ("acrnet1x", "bacrnet10x", "acrnet20x", "csinet", "crnet", "bcsinet-b3")


def randomise(module: Any, seed: int) -> Any:
    """Weights as they are; slopes, biases and batch norm as no initialiser would leave them."""
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.5, 1.5)
            torch.nn.init.uniform_(part.bias, -0.3, 0.3)
            part.running_mean.uniform_(-0.3, 0.3)
            part.running_var.uniform_(0.5, 2.0)
        elif isinstance(part, torch.nn.PReLU):
            torch.nn.init.uniform_(part.weight, 0.05, 0.6)
    return module.eval()


@functools.cache
def link(name: str, bits: int | None, binarize: str | None = None) -> Any:
    torch.manual_seed(6)
    return randomise(build(name, bits=bits, binarize=binarize), seed=7)


@functools.cache
def exported(name: str, side: str, bits: int | None, binarize: str | None = None) -> ModelProto:
    part = link(name, bits, binarize)
    module = part.encoder if side == "ue" else part.decoder
    return export_part(module, side, bits=bits, features=registry.features(4))


def session(model: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options)


def bound(expected: np.ndarray) -> float:
    """conventions: within 1e-4 means max |a - b| <= 1e-4 max(1, max |b|)."""
    return 1e-4 * max(1.0, float(np.abs(expected).max()))


def runs(plan: Plan, *arrays: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """What the interpreter and the C runtime make of it."""
    return [run_plan(plan, *arrays), Part(write_bundle(plan)).run(*arrays)]


def csi(n: int = 2, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.05, 0.95, (n, 2, 32, 32)).astype(np.float32)


def assert_codes(ours: np.ndarray, theirs: np.ndarray, feature: np.ndarray, bits: int) -> None:
    """Equal but where the feature is within 1e-5 of a threshold, where order of summation rules."""
    scaled = feature.astype(np.float64) * 2**bits
    near = np.abs(feature - np.rint(scaled) / 2**bits) < 1e-5
    assert not ((ours != theirs) & ~near).any()


@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_sends_what_onnx_runtime_sends(name: str) -> None:
    model = exported(name, "ue", 4)
    plan = compile_model(model, part="encoder", side="ue")
    x = csi()
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    exposed.graph.output.append(onnx.ValueInfoProto(name="feature"))
    theirs, payload, feature = session(exposed).run(None, {"x": x})
    assert feature.std() > 0.01
    for ours, packed in runs(plan, x):
        assert_codes(ours, theirs, feature, 4)
        if np.array_equal(ours, theirs):
            np.testing.assert_array_equal(packed, payload)
    with torch.no_grad():
        wanted = link(name, 4).encoder(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(feature, wanted, rtol=0, atol=bound(wanted))


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_makes_what_onnx_runtime_makes(name: str) -> None:
    model = exported(name, "bs", 4)
    plan = compile_model(model, part="decoder", side="bs")
    payload = np.random.default_rng(5).integers(0, 256, (2, 256), np.uint8)
    (theirs,) = session(model).run(None, {"payload": payload})
    assert theirs.std() > 0.01
    for (ours,) in runs(plan, payload):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound(theirs))


def test_both_sides_binarized_and_float_features() -> None:
    x = csi()
    encoder = exported("bacrnet1x", "ue", None, "both")
    decoder = exported("bacrnet1x", "bs", None, "both")
    (theirs,) = session(encoder).run(["feature"], {"x": x})
    (ours,) = run_plan(compile_model(encoder, part="encoder", side="ue"), x)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound(theirs))
    (theirs_h,) = session(decoder).run(["h"], {"feature": theirs})
    plan = compile_model(decoder, part="decoder", side="bs")
    (ours_h,) = run_plan(plan, theirs)
    np.testing.assert_allclose(ours_h, theirs_h, rtol=0, atol=bound(theirs_h))
    assert plan.payload is None
    assert [s.op for s in plan.steps].count(Op.BINARY_LINEAR) == 1


def legacy(module: Any, example: Any, name: str, opset: int, *, fold: bool = False) -> ModelProto:
    """torch's older exporter, with batch norm left as a node of its own."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (example,),
            stream,
            dynamo=False,
            opset_version=opset,
            input_names=[name],
            output_names=["out"],
            dynamic_axes={name: {0: "batch"}, "out": {0: "batch"}},
            do_constant_folding=fold,
            training=torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE,
        )
    return onnx.load_model_from_string(stream.getvalue())


@pytest.mark.parametrize(
    ("name", "opset", "fold"),
    [("acrnet1x", 13, False), ("acrnet10x", 17, True), ("csinet", 17, False), ("crnet", 20, False),
     ("bcsinet-b3", 20, True)],
)  # fmt: skip
def test_older_exporter(name: str, opset: int, fold: bool) -> None:
    part = link(name, None, "none")
    for side, module, x in (
        ("ue", part.encoder, csi()),
        ("bs", part.decoder, csi().reshape(2, -1)[:, :512]),
    ):
        model = legacy(module, torch.from_numpy(x), "in", opset, fold=fold)
        has_batch_norm = any(node.op_type == "BatchNormalization" for node in model.graph.node)
        assert has_batch_norm != fold
        plan = compile_model(model, part="any", side=side)
        (theirs,) = session(model).run(None, {"in": x})
        (ours,) = Part(write_bundle(plan)).run(x)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound(theirs))
        left = {s.op for s in plan.steps} - {Op.CONV2D, Op.LINEAR, Op.CONCAT, Op.ACTIVATION}
        left -= {Op.CONV_BLOCK}
        assert not left, "batch norm, bias and residual are all folded"


def conv_steps(plan: Plan) -> int:
    return sum(step.op is Op.CONV2D for step in plan.steps)


def test_every_layer_is_one_step() -> None:
    ue = compile_model(exported("bacrnet10x", "ue", 4), part="encoder", side="ue")
    assert [s.op.name for s in ue.steps] == [
        *["CONV2D"] * 5, "BINARY_LINEAR", "QUANTIZE_LOGIT", "PACK_BITS"
    ]  # fmt: skip
    assert sum(s.inputs[4] is not None for s in ue.steps if s.op is Op.CONV2D) == 2
    bs = compile_model(exported("bacrnet10x", "bs", 4), part="decoder", side="bs")
    assert [s.op.name for s in bs.steps] == [
        "UNPACK_BITS", "DEQUANTIZE_UNIFORM", "LINEAR", "CONV2D", *["CONV_BLOCK"] * 2, "ACTIVATION"
    ]  # fmt: skip
    assert [s.name for s in bs.steps][4] == "decoder.convolutions.1"


@pytest.mark.parametrize("name", ["acrnet1x", "bacrnet10x", "csinet", "crnet", "bcsinet-b3"])
def test_macs_are_those_of_the_formula(name: str) -> None:
    wanted = registry.macs(registry.get(name), 4)
    for part, side in (("encoder", "ue"), ("decoder", "bs")):
        plan = compile_model(exported(name, side, 4), part=part, side=side)
        assert total(costs(plan)).macs == wanted[part]


def test_sizes() -> None:
    """Paper 002: 1-bit FC of 2048 x 512 weights; MACs of table I at 1/4, 10x: 24.404 M."""
    model = exported("bacrnet10x", "ue", 4)
    ue = compile_model(model, part="encoder", side="ue")
    bs = compile_model(exported("bacrnet10x", "bs", 4), part="decoder", side="bs")
    rows = {row.name: row for row in costs(ue)}
    assert rows["encoder.fc"].binary_bytes == 2048 * 512 // 8 == 128 * 1024
    assert 131_072 < len(model.SerializeToString()) < 150_000
    whole = total(costs(ue)).macs + total(costs(bs)).macs
    assert whole == 24_403_968
    for plan in (ue, bs):
        stored = sum(row.stored_bytes for row in costs(plan))
        assert 0 <= len(plan.weights) - stored < 16 * len(plan.tensors)
    assert ue.payload is not None
    assert (ue.payload.layout_id, ue.payload.count, ue.payload.nbytes) == (0x0104, 512, 256)


def test_same_weights_same_bytes() -> None:
    again = export_part(link("bacrnet10x", 4).encoder, "ue", bits=4)
    first = exported("bacrnet10x", "ue", 4)
    assert again.SerializeToString(deterministic=True) == first.SerializeToString(
        deterministic=True
    )


def test_half_weights_are_half_the_file_and_round_only() -> None:
    part = link("acrnet1x", 4)
    half = export_part(part.decoder, "bs", bits=4, features=512, half_weights=True)
    full = exported("acrnet1x", "bs", 4)
    assert len(half.SerializeToString()) < 0.52 * len(full.SerializeToString())
    payload = np.random.default_rng(5).integers(0, 256, (2, 256), np.uint8)
    (theirs,) = session(half).run(None, {"payload": payload})
    (ours,) = run_plan(compile_model(half, part="decoder", side="bs"), payload)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound(theirs))


def test_integer_weights_are_a_quarter_and_round_as_an_integer_layer_does() -> None:
    part = link("acrnet1x", 4)
    name = "decoder.fc.weight"
    made = export_part(part.decoder, "bs", bits=4, features=512, integer_weights=(name,))
    full = exported("acrnet1x", "bs", 4)
    assert len(made.SerializeToString()) < 0.3 * len(full.SerializeToString())
    stored = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    weight = part.decoder.fc.weight.detach().numpy()
    assert stored[f"{name}.codes"].dtype == np.int8
    scale = np.abs(weight).max(1, keepdims=True) / 127
    np.testing.assert_allclose(stored[f"{name}.scale"], scale, rtol=1e-6)
    # Half a step, and what float32 makes of the quotient.
    error = stored[f"{name}.codes"] * stored[f"{name}.scale"] - weight
    assert (np.abs(error) < 0.5001 * scale).all()
    payload = np.random.default_rng(5).integers(0, 256, (2, 256), np.uint8)
    (theirs,) = session(made).run(None, {"payload": payload})
    (ours,) = run_plan(compile_model(made, part="decoder", side="bs"), payload)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound(theirs))


def test_inlined_file_is_still_packed_and_equal() -> None:
    model = exported("bacrnet10x", "ue", 4)
    inlined = inline_functions(model)
    assert not inlined.functions
    assert {entry.domain for entry in inlined.opset_import} == {""}
    assert len(inlined.SerializeToString()) < 150_000
    x = csi()
    for a, b in zip(
        session(model).run(None, {"x": x}), session(inlined).run(None, {"x": x}), strict=True
    ):
        np.testing.assert_array_equal(a, b)
