"""A network with a number of users k on its way to integers: any k in the calibration, and then any
k up to the most in use."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from csideploy.bundles import Integers, compile_file
from csideploy.errors import InputError
from csideploy.export.bundle_read import read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.integer.run import check_steps, run_plan
from csideploy.export.plan import Op
from csideploy.onnx_oracle import Oracle
from csideploy.quantize import quantize_part
from csideploy.runtime import Part
from csideploy.validate_bundle import validate_bundle

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))

from egat_model import features, precoder
from small_models import floats, model, node

NETWORK = precoder(4, 8, 32, 2, function=True)
CHUNKS = [features(16, 1 + s % 4, 8, s) for s in range(8)]
PRODUCTS = 2 + 2 * 5
"""Linear layers: the first, the last, and f1 to f5 of each of the two."""


@pytest.fixture(scope="module", params=["int8", "auto"])
def quantized(request: pytest.FixtureRequest) -> bytes:
    made = quantize_part(NETWORK, CHUNKS, precision=request.param, seed=0, level_db=-15)
    assert made.loss_db < 0.5
    return made.models[""]


def compiled(data: bytes, k_max: int = 5) -> Any:
    network = onnx.load_model_from_string(data)
    return compile_model(network, part="precoder", side="bs", n_max=2, k_max=k_max)


def test_every_linear_layer_is_an_integer_one(quantized: bytes) -> None:
    plan = compiled(quantized)
    ops = [step.op for step in plan.steps]
    assert ops.count(Op.QLINEAR) == PRODUCTS
    assert Op.LINEAR not in ops
    assert ops.count(Op.EDGE_ATTENTION) == 2
    exact = compile_model(NETWORK, part="precoder", side="bs", n_max=2, k_max=5)
    assert plan.weights.nbytes < 0.4 * exact.weights.nbytes


def test_integers_are_exact_for_every_number_of_users(quantized: bytes) -> None:
    plan = compiled(quantized)
    part = Part(write_bundle(plan))
    oracle = Oracle(quantized, name="qdq")
    exact = Oracle(NETWORK.SerializeToString(), name="float")
    for users in range(1, 6):
        x = features(5, users, 8, seed=90 + users)
        sample = [array[:1] for array in x.values()]
        compared, wrong = check_steps(plan, sample, [y[0] for _, y in part.trace(*sample)])
        assert compared >= PRODUCTS
        assert wrong == ""
        (ours,) = part.run(*x.values())
        theirs = oracle.run(x)["W"]
        # Codes are equal; the attention between them is float32 in another order, and a value on a
        # threshold may fall to either side of it: then one code of a layer is one step off.
        apart = np.sum((ours - theirs) ** 2) / np.sum(theirs**2)
        assert apart < 1e-5
        wanted = exact.run(x)["W"]
        assert np.sum((ours - wanted) ** 2) / np.sum(wanted**2) < 10**-2.0


def test_a_part_of_integers_alone_by_its_specification() -> None:
    """What the NumPy specification has all steps of, with k in front of its rows."""
    proto = model([node("MatMul", ["x", "w"], ["h"]), node("Add", ["h", "b"], ["a"]),
                   node("Relu", ["a"], ["r"]), node("MatMul", ["r", "v"], ["y"])],
                  {"x": ("n", "k", 6)}, ["y"],
                  {"w": floats(6, 8), "b": floats(8), "v": floats(8, 5)})  # fmt: skip
    data = [floats(16, 3, 6, seed=s) for s in range(4)]
    made = quantize_part(proto, data, precision="int8", seed=0)
    plan = compiled(made.models[""])
    part = Part(write_bundle(plan))
    for users in range(1, 6):
        x = floats(5, users, 6, seed=50)
        expected = run_plan(plan, [x])["y"]
        assert expected.shape == (5, users, 5)
        np.testing.assert_array_equal(part.run(x)[0], expected)
        np.testing.assert_array_equal(Oracle(made.models[""], name="q").run(x)["y"], expected)


@pytest.mark.parametrize("precision", ["int8", "auto"])
def test_the_verb(tmp_path: Path, precision: str) -> None:
    onnx.save(NETWORK, tmp_path / "bs.onnx")
    np.savez(tmp_path / "c.npz", **features(32, 3, 8, seed=1))
    result = compile_file(
        tmp_path / "bs.onnx", None, side="bs", part="precoder", max_users=4, vectors=2,
        integers=Integers(precision, tmp_path / "c.npz", -15.0),
    )  # fmt: skip
    bundle = Path(result["out"])
    assert bundle.name == "bs.int8.csib"
    # Three users were calibrated with; golden vectors have four, the first one twice.
    golden = read_whole(bundle.read_bytes()).vectors["feature"]
    assert golden.shape == (2, 4, 8)
    np.testing.assert_array_equal(golden[:, 3], golden[:, 0])
    found = validate_bundle(bundle, onnx_file=Path(result["onnx"]), samples=4, seed=2)
    assert found["passed"], found


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no snr": ({"feature": floats(16, 3, 8)}, "lacks snr_db"),
    "other features": ({"feature": floats(16, 3, 9), "snr_db": floats(16, 1)}, r"\(n, k, 8\)"),
    "no users": ({"feature": floats(16, 8), "snr_db": floats(16, 1)}, r"\(n, k, 8\)"),
    "other samples": ({"feature": floats(16, 3, 8), "snr_db": floats(17, 1)}, r"\(n, 1\)"),
    "integers": (
        {"feature": np.ones((16, 3, 8), np.int32), "snr_db": floats(16, 1)}, "int32"),
    "too few": ({"feature": floats(3, 3, 8), "snr_db": floats(3, 1)}, "3 samples"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_calibration_that_does_not_fit(tmp_path: Path, name: str) -> None:
    arrays, why = BAD[name]
    onnx.save(NETWORK, tmp_path / "bs.onnx")
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(InputError, match=why):
        compile_file(tmp_path / "bs.onnx", None, side="bs", part="precoder",
                     integers=Integers("int8", tmp_path / "c.npz"))  # fmt: skip
