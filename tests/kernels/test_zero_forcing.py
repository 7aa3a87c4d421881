"""ZERO_FORCING and its function against the singular values of the channels in float64."""

from typing import Any

import numpy as np
import onnx
import pytest
from hand_plan import HandPlan
from one_step import EPS, same_bits
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from precoder_oracles import zero_forcing

from csideploy.errors import UnsupportedError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.functions import DOMAIN, attach_functions
from csideploy.export.inline import inline_functions
from csideploy.export.macs import costs, total
from csideploy.export.plan import Op, Storage
from csideploy.onnx_oracle import Session
from csideploy.runtime import Part, instruction_sets

Array = Any
CASES = [(1, 1), (1, 7), (2, 2), (3, 16), (8, 16), (6, 128), (5, 3), (64, 33)]
"""Users and antennas, more users than antennas among them."""
BOUND = 4 * EPS
"""Of the largest entry: the result is rounded twice, the scale three times."""


def channels(n: int, users: int, antennas: int, seed: int) -> Array:
    return np.random.default_rng([seed, users]).normal(size=(n, users, antennas, 2)).astype("f4")


def bundle_of(antennas: int, most: int, users: int | str = "k", n_max: int = 2) -> bytes:
    hand = HandPlan(n_max=n_max, k_max=most if users == "k" else 1)
    h, loading = hand.input("h", ("n", users, antennas, 2)), hand.input("loading", ("n", 1))
    scratch = hand.arena("scratch", (users, 4 * most))
    w = hand.output("w", ("n", users, antennas, 2))
    hand.step(Op.ZERO_FORCING, [h, loading], [w, scratch])
    return write_bundle(hand.plan())


def run(h: Array, loading: Array, most: int | None = None) -> Array:
    """The same bits from every instruction set."""
    users, antennas = h.shape[1:3]
    bundle = bundle_of(antennas, most or users)
    (w,) = Part(bundle, isa="reference").run(h, loading)
    for isa in instruction_sets():
        assert same_bits(w, Part(bundle, isa=isa).run(h, loading)[0]), isa
    return w


def model(antennas: int, users: int | str = "k") -> onnx.ModelProto:
    f32 = TensorProto.FLOAT
    h = helper.make_tensor_value_info("h", f32, ["n", users, antennas, 2])
    loading = helper.make_tensor_value_info("loading", f32, ["n", 1])
    w = helper.make_tensor_value_info("w", f32, ["n", users, antennas, 2])
    node = helper.make_node("ZeroForcing", ["h", "loading"], ["w"], "zf", domain=DOMAIN)
    made = helper.make_model(
        helper.make_graph([node], "zf", [h, loading], [w]),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    attach_functions(made)
    onnx.checker.check_model(made, full_check=True)
    return made


def off(w: Array, wanted: Array) -> float:
    """The largest difference, of the largest entry of the sample."""
    most = np.abs(wanted).max((1, 2, 3), keepdims=True)
    return float((np.abs(w - wanted) / most).max())


@pytest.mark.parametrize(("users", "antennas"), CASES)
def test_against_numpy(users: int, antennas: int) -> None:
    h = channels(5, users, antennas, seed=1)
    loading = np.array([[1e-3], [0.1], [1], [30], [1e4]], np.float32)
    wanted = zero_forcing(h, loading)
    assert off(run(h, loading), wanted) <= BOUND
    theirs = Session(model(antennas).SerializeToString(), name="zf")
    feeds = {"h": h, "loading": loading}
    assert off(theirs.run(feeds)["w"], wanted) <= BOUND
    power = (run(h, loading).astype(float) ** 2).sum(-1).mean((1, 2))
    np.testing.assert_allclose(power, 1, atol=1e-6)


def test_other_evaluators() -> None:
    h, loading = channels(2, 3, 4, seed=2), np.array([[0.1], [2]], np.float32)
    feeds = {"h": h, "loading": loading}
    for made in (model(4), inline_functions(model(4))):
        (w,) = ReferenceEvaluator(made).run(None, feeds)
        assert off(w, zero_forcing(h, loading)) <= BOUND


@pytest.mark.parametrize("condition", [1e3, 1e5, 1e8])
def test_users_with_one_channel(condition: float) -> None:
    """Nothing but the loading tells them apart: float32 would lose them above 10^5."""
    h = channels(4, 4, 8, seed=3)
    h[:, 1] = h[:, 0]
    h[1:, 2] = h[1:, 0] * np.float32(1 + 1e-5)
    largest = np.linalg.norm(h[..., 0] + 1j * h[..., 1], 2, axis=(1, 2)) ** 2
    loading = (largest / condition).astype(np.float32)[:, None]
    wanted = zero_forcing(h, loading)
    # Doubles lose the condition number times their own rounding, which is far below float32's.
    assert off(run(h, loading), wanted) <= BOUND
    made = Session(model(8).SerializeToString(), name="zf").run({"h": h, "loading": loading})
    assert off(made["w"], wanted) <= BOUND
    w = run(h, loading)[0]
    np.testing.assert_allclose(w[0], w[1], atol=BOUND * np.abs(w).max())


def test_fewer_users_than_there_may_be() -> None:
    """Room for the most users does not change what a few get; nor do samples before."""
    for users in (1, 2, 5):
        h = channels(3, users, 6, seed=4)
        loading = np.array([[0.2], [0.3], [0.4]], np.float32)
        one = [run(h[i : i + 1], loading[i : i + 1], most=9) for i in range(3)]
        np.testing.assert_array_equal(run(h, loading), np.concatenate(one))


def test_users_and_antennas_may_change_places() -> None:
    h, loading = channels(1, 5, 7, seed=5), np.array([[0.5]], np.float32)
    users, antennas = np.random.default_rng(5).permutation(5), np.array([3, 0, 6, 1, 2, 5, 4])
    w = run(h, loading)
    assert off(run(h[:, users], loading), w[:, users]) <= BOUND
    assert off(run(h[:, :, antennas], loading), w[:, :, antennas]) <= BOUND


@pytest.mark.parametrize("size", [3.4e38, 1e19, 1e-19, 1e-45, 0.0, np.inf, np.nan])
@pytest.mark.parametrize("loading", [1e-45, 1e-3, 3.4e38, 0.0, -1e9, np.inf, np.nan])
def test_any_numbers_are_finite(size: float, loading: float) -> None:
    """Zeros without a positive definite matrix or a power; the next sample is well."""
    h, sound = channels(2, 3, 4, seed=6), np.array([[loading], [0.5]], np.float32)
    h[0] = np.clip(h[0], -1, 1) * np.float32(size)
    w = run(h, sound)
    assert np.isfinite(w).all()
    alone = np.array([[0.5]], np.float32)
    np.testing.assert_array_equal(w[1:], run(h[1:], alone))
    broken = not (np.isfinite(size) and np.isfinite(loading)) or loading < 0 or size == 0
    assert not (broken and size < 1e19 and w[0].any())


def test_compiled() -> None:
    """One step and its scratch; costs are those of the most users."""
    plan = compile_model(model(16), part="p", side="bs", k_max=8)
    assert [step.op for step in plan.steps] == [Op.ZERO_FORCING]
    scratch = plan.tensors[plan.steps[0].outputs[1]]
    assert (scratch.shape, scratch.storage) == (("k", 32), Storage.ARENA)
    assert plan.arena_bytes == 8 * 8 * 16
    # Complex products: 36 inner ones, 3 times 84 of triangles, 64 of the inverse by h.
    assert total(costs(plan)).macs == 4 * (36 * 16 + 3 * 84 + 64 * 16)
    fixed = compile_model(model(4, 3), part="p", side="bs")
    assert fixed.tensors[fixed.steps[0].outputs[1]].shape == (3, 12)
    h, loading = channels(3, 3, 4, seed=7), np.full((3, 1), 0.25, np.float32)
    np.testing.assert_array_equal(Part(write_bundle(fixed)).run(h, loading)[0], run(h, loading))


def test_refusals() -> None:
    compile_model(model(2), part="p", side="bs", k_max=64)
    for users, most in (("k", 65), (65, 8)):
        with pytest.raises(UnsupportedError, match="65 users at most; up to 64 are supported"):
            compile_model(model(2, users), part="p", side="bs", k_max=most)
    for name, sizes, why in (
        ("h", ["n", "k", 4, 3], r"'h' is float32 .*; float32 \(n, users, antennas, 2\)"),
        ("h", ["n", "k", 4], r"\(n, users, antennas, 2\) is right"),
        ("loading", ["n", 2], r"'loading' is float32 \(1, 2\); float32 \(1, 1\) is right"),
        ("loading", ["n", 1, 1], r"'loading' is float32 \(1, 1, 1\)"),
    ):
        wrong = model(4)
        (place,) = (i for i, info in enumerate(wrong.graph.input) if info.name == name)
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
        wrong.graph.input[place].CopyFrom(info)
        del wrong.graph.output[0].type.tensor_type.shape.dim[:]
        with pytest.raises(UnsupportedError, match=why):
            compile_model(wrong, part="p", side="bs")
