"""Precoders as parts: the functions in ONNX Runtime and compiled, and the plan of zero forcing."""

from math import comb
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.bundle_read import read_bundle, read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.emit_c import emit_c
from csideploy.export.inline import inline_functions
from csideploy.export.macs import costs, total
from csideploy.export.plan import Op, PayloadLayout
from csideploy.export.precoder_models import rzf_plan, table_precoder_model
from csideploy.export.precoder_rules import row_terms, table_rows
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part

Array = Any
F32, I8, U8 = np.float32, np.int8, np.uint8
CASES = [
    # bits, users, sorted, columns, streams, antennas
    (1, 1, False, 1, 1, 2),
    (6, 2, True, 2, 2, 8),
    (6, 2, False, 1, 2, 8),
    (10, 1, True, 1, 3, 2),
    (9, 2, True, 1, 1, 1),
    (3, 3, True, 2, 2, 3),
    (3, 4, False, 1, 2, 4),
    (2, 8, True, 1, 1, 5),
]


def table_of(dtype: Any, rows: int, users: int, columns: int, antennas: int) -> Array:
    rng = np.random.default_rng(rows)
    shape = (rows, users, columns, antennas, 2)
    if dtype is F32:
        return rng.standard_normal(shape, F32)
    if dtype is U8:
        return rng.integers(0, 256, shape[:-1], U8)
    table = rng.integers(-128, 128, shape, I8)
    table[0] = 0
    return table


def part_of(case: tuple[Any, ...], dtype: Any, per_user: bool = False) -> tuple[ModelProto, Array]:
    bits, users, sorted_, columns, streams, antennas = case
    rows = table_rows(bits, users, sorted_=sorted_)
    model = table_precoder_model(
        table_of(dtype, rows, users, columns, antennas),
        users=users, streams=streams, antennas=antennas, bits=bits, sorted_=sorted_,
        per_user=per_user,
    )  # fmt: skip
    size = -(-bits // 8)
    payload = np.random.default_rng(1).integers(0, 256, (150, users, size)).astype(U8)
    payload[0] = 0
    payload[1:3] = payload[1:3, :1]  # all users send the same
    return model, payload


@pytest.mark.parametrize("per_user", [False, True])
@pytest.mark.parametrize("dtype", [F32, I8, U8])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_function_and_kernel(case: tuple[Any, ...], dtype: Any, per_user: bool) -> None:
    """ONNX Runtime, onnx's evaluator and the compiled part, all to the last bit."""
    model, payload = part_of(case, dtype, per_user)
    onnx.checker.check_model(model, full_check=True)
    plan = compile_model(model, part="precoder", side="bs")
    assert [step.op for step in plan.steps] == [Op.TABLE_PRECODER]
    assert [t.name for t in plan.tensors if t.name not in ("payload", "V")] == ["payload.table"]
    (v,) = Part(write_bundle(plan)).run(payload)
    for other in (model, inline_functions(model)):
        oracle = Oracle(other.SerializeToString(), name="precoder").run(payload)
        np.testing.assert_array_equal(v, oracle["V"])
    (theirs,) = ReferenceEvaluator(model).run(None, {"payload": payload[:9]})
    np.testing.assert_array_equal(v[:9], theirs)


def test_terms() -> None:
    terms = row_terms(3, 4, sorted_=True)
    assert terms.tolist() == [[comb(c, i + 1) for c in range(12)] for i in range(4)]
    assert row_terms(2, 3, sorted_=False)[:, 3].tolist() == [48, 12, 3]
    for bits, users in ((16, 1), (15, 2), (4, 16), (1, 16), (7, 4)):
        top = row_terms(bits, users, sorted_=True)
        highest = (1 << bits) - 1
        row = sum(int(top[i, highest + i]) for i in range(users))
        assert row == table_rows(bits, users, sorted_=True) - 1
        assert (top >= 0).all()


def changed(model: ModelProto, name: str, data: Array) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    stored = next(t for t in copy.graph.initializer if t.name == f"payload.{name}")
    stored.CopyFrom(numpy_helper.from_array(data, stored.name))
    return copy


def with_attribute(model: ModelProto, **values: int) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    for attribute in copy.graph.node[0].attribute:
        attribute.i = values.get(attribute.name, attribute.i)
    return copy


def with_payload(model: ModelProto, *sizes: int) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    info = onnx.helper.make_tensor_value_info("payload", onnx.TensorProto.UINT8, ["n", *sizes])
    copy.graph.input[0].CopyFrom(info)
    return copy


def refused() -> dict[str, tuple[ModelProto, str]]:
    real, whole = part_of((3, 2, True, 2, 2, 4), F32)[0], part_of((3, 2, True, 2, 2, 4), I8)[0]
    table = table_of(F32, 36, 2, 2, 4)
    infinite, nan = table.copy(), table.copy()
    infinite[35, 1, 1, 3, 1], nan[0, 0, 0, 0, 0] = np.inf, np.nan
    terms = row_terms(3, 2, sorted_=True)
    wrong = terms.copy()
    wrong[1, 8] += 1
    alone, wide = with_attribute(whole, streams=1), np.zeros((36, 2, 1, 65536, 2), I8)
    return {
        "bits": (with_attribute(real, bits=17), "17 bits a user; 1 to 16"),
        "streams": (with_attribute(real, streams=0), "streams 0"),
        "flag": (with_attribute(whole, per_user=2), "per_user 2"),
        "bytes": (with_attribute(real, bits=9), r"uint8 \(n, users, 2\) is right"),
        "rank": (with_payload(real, 2), r"payload uint8 \(1, 2\)"),
        "users": (with_payload(real, 17, 1), "17 users; 1 to 16"),
        "rows": (with_attribute(with_payload(real, 8, 1), bits=8), "fewer than 2"),
        "type": (changed(real, "table", table_of(I8, 36, 2, 2, 4)), "table int8 .* float32"),
        "no pairs": (changed(real, "table", table[..., :1]), r"float32 \(rows, users, C, M, 2\)"),
        "few rows": (changed(real, "table", table[:35]), "36 rows, 2 users, 1 or 2 columns"),
        "columns": (with_attribute(real, streams=3), "1 or 3 columns"),
        "antennas": (changed(alone, "table", wide), "1 streams of 65536"),
        "infinite": (changed(real, "table", infinite), "not finite"),
        "nan": (changed(real, "table", nan), "not finite"),
        "terms": (changed(real, "terms", wrong), "are not those of 2 users of 3 bits, sorted 1"),
        "short terms": (changed(real, "terms", terms[:, :-1]), "are not those"),
        "type of terms": (changed(real, "terms", terms.astype(np.int32)), "terms int32"),
    }


@pytest.mark.parametrize("name", refused())
def test_refusals(name: str) -> None:
    model, why = refused()[name]
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    with pytest.raises(UnsupportedError, match=why):
        compile_model(model, part="p", side="bs")


def test_what_a_model_must_be() -> None:
    how: dict[str, Any] = {"users": 2, "streams": 1, "antennas": 4, "bits": 3, "sorted_": True}
    table = np.zeros((36, 2, 1, 4, 2), F32)
    table_precoder_model(table, **how)
    for changes, why in (
        ({"bits": 17}, "2 users of 17 bits"),
        ({"users": 0}, "0 users"),
        ({"users": 3}, r"\(120, 3, 1, 4, 2\) is right"),
        ({"sorted_": False}, r"\(64, 2, 1, 4, 2\) is right"),
        ({"streams": 2, "antennas": 5}, r"\(36, 2, 2, 5, 2\) or \(36, 2, 1, 5, 2\)"),
    ):
        with pytest.raises(InputError, match=why):
            table_precoder_model(table, **{**how, **changes})
    with pytest.raises(InputError, match="table of float64"):
        table_precoder_model(table.astype(float), **how)


LAYOUT = PayloadLayout(0x0101, 6, 1)


def test_a_part_of_several_users_has_a_layout() -> None:
    """One message a user: B codes of one bit."""
    model, payload = part_of((6, 2, True, 1, 1, 4), I8)
    plan = compile_model(model, part="precoder", side="bs", payload=LAYOUT)
    data = write_bundle(plan)
    layout = Part(data).payload
    assert layout is not None
    assert (layout.count, layout.bits, layout.nbytes) == (6, 1, 1)
    assert read_bundle(data).payload == LAYOUT
    row = total(costs(plan))
    assert (row.macs, row.weight_bytes) == (0, 2080 * 2 * 4 * 2)
    assert row.elementwise == 3 * 2 * 4 * 2
    golden = {"payload": payload[:2], "V": Part(data).run(payload[:2])[0]}
    files = emit_c(data, title="bs-precoder.csib", vectors=golden)
    kernels = {name for name in files if name.startswith("kernels/")}
    assert kernels == {
        "kernels/kernels.h", "kernels/precoder.h", "kernels/reference/table.c",
        "kernels/reference/table_precoder.c",
    }  # fmt: skip
    assert "runtime/include/csideploy/op_roles.h" in files
    assert "runtime/src/verify_precoder.c" in files


def test_rzf() -> None:
    rng = np.random.default_rng(2)
    codebook = rng.standard_normal((64, 8, 2), F32)
    plan = rzf_plan(
        codebook, users=4, streams=2, bits=6, loading=0.1, payload=LAYOUT, pairing_id=b"p" * 16,
        metadata={"system": "rzf"},
    )  # fmt: skip
    data = write_bundle(plan)
    part = Part(data)
    payload = rng.integers(0, 256, (5, 4, 1)).astype(U8)
    (v,) = part.run(payload)
    assert v.shape == (5, 4, 2, 8, 2)
    np.testing.assert_allclose((v.astype(float) ** 2).sum(axis=(3, 4)), 1, rtol=1e-6)
    again = read_whole(data).plan
    assert (again.part, again.side, again.payload) == ("precoder", "bs", LAYOUT)
    assert again.metadata == {"system": "rzf"}
    assert total(costs(plan)).macs == 4 * (10 * 8 + 10 + 12 * 8)
    files = emit_c(data, title="rzf.csib", vectors={"payload": payload, "V": v})
    assert "kernels/reference/rzf_precoder.c" in files
    assert "kernels/reference/table_precoder.c" not in files


def test_what_zero_forcing_must_be() -> None:
    codebook = np.ones((8, 4, 2), F32)
    how: dict[str, Any] = {"users": 2, "streams": 1, "bits": 3, "loading": 0.1}
    rzf_plan(codebook, **how)
    for changes, why in (
        ({"users": 17}, "17 users"),
        ({"bits": 13}, "13 bits"),
        ({"streams": 0}, "0 streams"),
        ({"bits": 4}, r"\(16, antennas, 2\) is right"),
        ({"loading": 0.0}, "loading = 0.0"),
        ({"loading": np.nan}, "loading = nan"),
        ({"pairing_id": b"x"}, "pairing id of 1 bytes"),
        ({"payload": PayloadLayout(0x0108, 2, 8)}, "payload of 2 bytes a user"),
    ):
        with pytest.raises(InputError, match=why):
            rzf_plan(codebook, **{**how, **changes})
    with pytest.raises(InputError, match="not finite"):
        rzf_plan(np.full((8, 4, 2), np.inf, F32), **how)
