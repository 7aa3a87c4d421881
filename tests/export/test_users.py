"""The number of users k as a dimension of a file: every k up to the most gives what ONNX Runtime
gives, the arena is exact at the most, and what holds k otherwise is refused by name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from egat_model import features, precoder
from onnx import ModelProto
from small_models import floats, model, node

from csideploy.errors import FormatError, InputError, UnsupportedError
from csideploy.export.bundle_read import read_bundle, read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.memory_check import PlanError, check_memory
from csideploy.export.plan import Op, Plan, Storage
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part

USERS = {"x": ("n", "k", 6)}
EDGES = {"x": ("n", "k", 4, 6)}
FRONT = {"x": ("n", 5, "k", 4)}


def integers(*values: int) -> Any:
    return np.array(values, np.int64)


CASES = {
    "a layer": model([node("MatMul", ["x", "w"], ["y"])], EDGES, ["y"], {"w": floats(6, 5)}),
    "mean of the users": model([node("ReduceMean", ["x", "a"], ["m"]),
                                node("Sub", ["x", "m"], ["y"])], USERS, ["y"], {"a": integers(1)}),
    "largest of the users": model([node("ReduceMax", ["x", "a"], ["m"]),
                                   node("Div", ["x", "m"], ["y"])], USERS, ["y"],
                                  {"a": integers(1)}),
    "softmax over the users": model([node("Softmax", ["x"], ["y"], axis=1)], USERS, ["y"]),
    "softmax over the last axis": model([node("Softmax", ["x"], ["y"])], EDGES, ["y"]),
    "normalised": model([node("LayerNormalization", ["x", "s"], ["y"])], EDGES, ["y"],
                        {"s": floats(6)}),
    "the users last": model([node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
                             node("Softmax", ["t"], ["y"])], EDGES, ["y"]),
    "neighbours of the users": model([node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2])],
                                     FRONT, ["y"]),
    "rows of a matrix": model([node("MatMul", ["w", "x"], ["y"])], {"x": ("n", 4, "k")}, ["y"],
                              {"w": floats(3, 4)}),
    "inside a product": model([node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
                               node("MatMul", ["t", "x"], ["y"])], USERS, ["y"]),
    "best user": model([node("ArgMax", ["x"], ["i"], axis=1, keepdims=0),
                        node("Gather", ["w", "i"], ["y"])], USERS, ["y"], {"w": floats(9, 2)}),
    "the first user, again and again": model(
        [node("Gather", ["x", "i"], ["a"], axis=1), node("ReduceMax", ["a", "j"], ["b"]),
         node("Add", ["x", "b"], ["y"])], USERS, ["y"], {"i": integers(0, 0), "j": integers(1)}),
    "cut elsewhere": model([node("Slice", ["x", "s", "e", "a"], ["y"])], EDGES, ["y"],
                           {"s": integers(1), "e": integers(9), "a": integers(3)}),
    "a reshape by its sizes": model(
        [node("Shape", ["x"], ["s"], start=0, end=2), node("Concat", ["s", "r"], ["t"], axis=0),
         node("Reshape", ["x", "t"], ["y"])], EDGES, ["y"], {"r": integers(24)}),
    "spread over the users": model(
        [node("ReduceSum", ["x", "a"], ["m"]), node("Shape", ["x"], ["s"]),
         node("Expand", ["m", "s"], ["y"])], USERS, ["y"], {"a": integers(1)}),
    "running sums": model([node("CumSum", ["x", "a"], ["y"])], USERS, ["y"], {"a": np.array(1)}),
    "six users, as many channels": model([node("MatMul", ["x", "w"], ["h"]),
                                          node("Tanh", ["h"], ["y"])], USERS, ["y"],
                                         {"w": floats(6, 6)}),
    "two inputs": model([node("Mul", ["x", "z"], ["y"])], {**USERS, "z": ("n", 1, 6)}, ["y"]),
    "one that only z has": model([node("Mul", ["x", "z"], ["y"])],
                                 {"x": ("n", 1, 6), "z": ("n", "k", 6)}, ["y"]),
    "a graph of users": precoder(4, 8, 20, 2, function=False),
}  # fmt: skip


def compiled(proto: ModelProto, k_max: int = 6, n_max: int = 2) -> Plan:
    return compile_model(proto, part="small", side="bs", n_max=n_max, k_max=k_max)


def given(proto: ModelProto, samples: int, users: int) -> dict[str, Any]:
    made = {}
    for index, info in enumerate(proto.graph.input):
        dims = info.type.tensor_type.shape.dim[1:]
        shape = [samples, *(users if d.dim_param == "k" else d.dim_value for d in dims)]
        made[info.name] = floats(*shape, seed=index)
    return made


@pytest.mark.parametrize("name", CASES)
def test_every_number_of_users_gives_what_onnx_runtime_gives(name: str) -> None:
    """Five samples in chunks of two, in an arena full of other numbers."""
    proto = CASES[name]
    plan = compiled(proto)
    part, oracle = Part(write_bundle(plan)), Oracle(proto.SerializeToString(), name=name)
    assert (part.n_max, part.k_max) == (2, 6)
    for users in (6, *range(1, 7)):
        part._core.fill_arena(0xFF)
        x = given(proto, 5, users)
        for info, ours in zip(part.outputs, part.run(*x.values()), strict=True):
            theirs = oracle.run(x)[info.name]
            assert ours.shape == theirs.shape
            # Both in float32, in other orders: 1e-5 of the largest number is their share.
            bound = 1e-5 * max(1.0, float(np.abs(theirs).max()))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)


@pytest.mark.parametrize("name", CASES)
def test_one_axis_at_most_is_the_users(name: str) -> None:
    plan = compiled(CASES[name])
    assert any("k" in plan.tensors[i].shape for i in plan.inputs)
    for tensor in plan.tensors:
        assert tensor.shape.count("k") <= 1
        assert tensor.storage is not Storage.WEIGHTS or "k" not in tensor.shape


def test_the_most_users_change_the_arena_alone() -> None:
    proto = CASES["a graph of users"]
    small, large = compiled(proto, k_max=2, n_max=1), compiled(proto, k_max=12, n_max=1)
    assert (small.steps, small.weights.tobytes()) == (large.steps, large.weights.tobytes())
    assert [t.shape for t in small.tensors] == [t.shape for t in large.tensors]
    # All that is large has k; what has none is one vector a sample.
    assert 5.5 < large.arena_bytes / small.arena_bytes <= 6
    x = given(proto, 3, 2)
    few, many = (Part(write_bundle(plan)).run(*x.values())[0] for plan in (small, large))
    np.testing.assert_array_equal(few, many)


def test_the_arena_is_exact_at_the_most_users() -> None:
    plan = compiled(CASES["a graph of users"])
    part, x = Part(write_bundle(plan)), given(CASES["a graph of users"], 2, 6)
    (expected,) = part.run(*x.values())
    assert part._core.set_arena(plan.arena_bytes)
    np.testing.assert_array_equal(part.run(*x.values())[0], expected)
    assert not part._core.set_arena(plan.arena_bytes - 1)
    for less in (replace(plan, k_max=5), replace(plan, arena_bytes=plan.arena_bytes - 16)):
        with pytest.raises(PlanError):
            check_memory(less)
        with pytest.raises(FormatError, match="arena_bytes"):
            write_bundle(less)


def test_more_users_than_the_part_takes_are_refused() -> None:
    part = Part(write_bundle(compiled(CASES["a layer"], k_max=3)))
    with pytest.raises(InputError, match=r"4 users, the part takes 1\.\.3"):
        part.run(floats(1, 4, 4, 6))
    two = Part(write_bundle(compiled(precoder(4, 8, 20, 1, function=False))))
    with pytest.raises(InputError, match="snr_db"):
        two.run(floats(2, 3, 8), floats(3, 1))


def test_golden_vectors_have_the_most_users() -> None:
    proto = CASES["a graph of users"]
    plan = compiled(proto, k_max=3)
    x = features(2, 3, 8, seed=4)
    vectors = {**x, "W": Oracle(proto.SerializeToString(), name="egat").run(x)["W"]}
    whole = read_whole(write_bundle(plan, vectors=vectors))
    for name, array in vectors.items():
        np.testing.assert_array_equal(whole.vectors[name], array)
    assert whole.plan.k_max == 3
    assert Part(write_bundle(plan, vectors=vectors)).k_max == 3
    with pytest.raises(FormatError, match="golden vector 'feature'"):
        write_bundle(plan, vectors=features(2, 1, 8, seed=4))


def test_a_plan_with_users_is_read_back() -> None:
    plan = compiled(CASES["a graph of users"])
    again = read_bundle(write_bundle(plan))
    assert (again.tensors, again.steps, again.k_max) == (plan.tensors, plan.steps, 6)


def test_a_network_without_users_has_none() -> None:
    proto = model([node("Relu", ["x"], ["y"])], {"x": ("n", 6)}, ["y"])
    assert compiled(proto, k_max=9).k_max == 1


def named(name: str, *shape: Any) -> ModelProto:
    """Relu of an input of a shape."""
    return model([node("Relu", ["x"], ["y"])], {"x": shape}, ["y"])


REFUSED = {
    "two axes": (named("x", "n", "k", "k"), r"input 'x'.*one axis"),
    "another name": (named("x", "n", "users", 3), r"input 'x' has shape \('n', 'users', 3\)"),
    "a multiple": (
        model([node("Reshape", ["x", "s"], ["r"]), node("Softmax", ["r"], ["y"])], EDGES, ["y"],
              {"s": integers(0, -1, 6)}), r"tensor 'r' \(n, 4 k, 6\)"),
    "a flat result": (model([node("Flatten", ["x"], ["y"])], USERS, ["y"]), r"'y' \(n, 6 k\)"),
    "one more": (
        model([node("Concat", ["x", "w"], ["c"], axis=1), node("Relu", ["c"], ["y"])],
              {**USERS, "w": ("n", 1, 6)}, ["y"]), r"tensor 'c' \(n, k \+1, 6\)"),
    "twice": (model([node("Concat", ["x", "x"], ["y"], axis=1)], USERS, ["y"]), r"'y' \(n, 2 k, 6"),
    "pairs of users": (
        model([node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), node("MatMul", ["x", "t"], ["y"])],
              USERS, ["y"]), r"tensor 'y' \(n, k, k\)"),
    "a constant of k": (
        model([node("Shape", ["x"], ["s"], start=1, end=2), node("Cast", ["s"], ["c"], to=1),
               node("Div", ["x", "c"], ["y"])], USERS, ["y"]), "constant 'c'.*number of users"),
    "a parameter of k": (
        model([node("Slice", ["x", "s", "e", "a", "b"], ["y"])], USERS, ["y"],
              {"s": integers(-1), "e": integers(-99999), "a": integers(1), "b": integers(-1)}),
        "start_1 of SLICE depends on the number of users"),
    "the second user": (
        model([node("Gather", ["x", "i"], ["y"], axis=1)], USERS, ["y"], {"i": integers(1)}),
        "SLICE.*does not take the users' axis k"),
    "users in an order": (
        model([node("Gather", ["x", "i"], ["y"], axis=1)], USERS, ["y"], {"i": integers(1, 0, 0)}),
        "picks users by number"),
    "users as an image": (
        model([node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])], {"x": ("n", 2, "k", 4)}, ["y"],
              {"w": floats(2, 2, 3, 3)}), "CONV2D.*does not take the users' axis k"),
    "split by user": (
        model([node("Split", ["x"], ["y", "z"], axis=1, num_outputs=2)], USERS, ["y", "z"]),
        "start_1 of SLICE depends on the number of users"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_the_number_of_users_otherwise_is_refused(name: str) -> None:
    proto, why = REFUSED[name]
    with pytest.raises(UnsupportedError, match=why) as refused:
        compiled(proto)
    assert "\n" not in str(refused.value)


def test_there_is_at_least_one_user() -> None:
    with pytest.raises(InputError, match="k_max = 0"):
        compiled(CASES["a layer"], k_max=0)


def test_users_stay_an_axis_of_their_own_where_a_size_is_theirs() -> None:
    """A file may have the compiler's own trial sizes in it."""
    for size in (503, 509, 521):
        proto = model([node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2])],
                      {"x": ("n", size, "k", 2)}, ["y"])  # fmt: skip
        plan = compiled(proto)
        assert plan.tensors[plan.outputs[0]].shape == ("n", 2, size, "k")
        assert [step.op for step in plan.steps] == [Op.TRANSPOSE]


def test_the_verb_and_its_bundle(tmp_path: Path) -> None:
    from csideploy.bundles import compile_file, describe, run_file
    from csideploy.validate_bundle import validate_bundle

    proto = CASES["a graph of users"]
    onnx.save(proto, tmp_path / "bs.onnx")
    result = compile_file(tmp_path / "bs.onnx", None, side="bs", part="precoder", max_users=4)
    bundle = Path(result["out"])
    about = describe(bundle)
    assert about["k_max"] == 4
    assert about["inputs"][0]["shape"] == ["n", "k", 8]
    assert read_whole(bundle.read_bytes()).vectors["feature"].shape == (1, 4, 8)
    found = validate_bundle(bundle, onnx_file=tmp_path / "bs.onnx", samples=3, seed=1)
    assert found["passed"]
    x = features(5, 3, 8, seed=2)
    np.savez(tmp_path / "x.npz", **x)
    run_file(bundle, tmp_path / "x.npz", tmp_path / "w.npy")
    expected = Oracle(proto.SerializeToString(), name="egat").run(x)["W"]
    np.testing.assert_allclose(np.load(tmp_path / "w.npy"), expected, rtol=0, atol=1e-5)
    np.savez(tmp_path / "x.npz", **features(5, 9, 8, seed=2))
    with pytest.raises(InputError, match=r"9 users, the part takes 1\.\.4"):
        run_file(bundle, tmp_path / "x.npz", tmp_path / "w.npy")
