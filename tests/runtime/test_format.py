"""The table of fields, the files made from it, and the round trip of a plan."""

import dataclasses
import struct

import numpy as np
import pytest
from hand_plan import HandPlan, micro_bundle, micro_plan

from csideploy.errors import FormatError
from csideploy.export import bundle_codegen
from csideploy.export import bundle_fields as bf
from csideploy.export import operation_rules as rules
from csideploy.export.bundle_read import read_bundle, read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import OPS, Op, PayloadLayout, Plan


def test_generated_files_are_fresh() -> None:
    root = bundle_codegen.repository()
    for name, text in bundle_codegen.outputs().items():
        assert (root / name).read_text(encoding="utf-8") == text, (
            f"{name} is stale: run `python -m csideploy.export.bundle_fields --write`"
        )


def test_records_keep_c_alignment() -> None:
    """A C compiler that aligns naturally must find every field where the table says."""
    for record in bf.RECORDS:
        at = 0
        for field in record.fields:
            width = field.size // field.count
            assert at % width == 0, f"{record.name}.{field.name}"
            at += field.size
        assert at == record.size
        assert record.size % 4 == 0


def test_every_operation_has_rules_for_all_its_parameters() -> None:
    for op, spec in OPS.items():
        assert [name for name, _ in rules.param_rules(op)] == list(spec.params)
        assert len(spec.inputs) <= bf.MAX_INPUTS
        assert len(spec.outputs) <= bf.MAX_OUTPUTS
        assert set(rules.IN_PLACE.get(op, ())) <= set(spec.inputs)
    assert list(OPS) == list(Op) == [Op(i + 1) for i in range(len(Op))]


def with_defaults(plan: Plan) -> Plan:
    steps = tuple(
        dataclasses.replace(
            step,
            params={
                name: np.float32(step.params.get(name, rule.default)).item()
                if rule.kind.type == "f32"
                else int(step.params.get(name, rule.default))
                for name, rule in rules.param_rules(step.op)
            },
        )
        for step in plan.steps
    )
    return dataclasses.replace(plan, steps=steps)


def test_round_trip() -> None:
    plan = micro_plan()
    x = np.random.default_rng(0).normal(size=(3, 2, 3, 4)).astype(np.float32)
    bundle = read_whole(write_bundle(plan, vectors={"x": x}))
    expected = with_defaults(plan)
    for field in dataclasses.fields(Plan):
        got, want = getattr(bundle.plan, field.name), getattr(expected, field.name)
        if field.name == "weights":
            assert np.array_equal(got, want)
        else:
            assert got == want, field.name
    assert list(bundle.vectors) == ["x"]
    assert np.array_equal(bundle.vectors["x"], x)
    assert bundle.header["arena_bytes"] == plan.arena_bytes
    ids = [s.id for s in bundle.sections]
    assert ids == [s.id for s in bf.SECTIONS]


def test_writing_is_deterministic_and_stable_after_reading() -> None:
    data = write_bundle(micro_plan())
    assert data == write_bundle(micro_plan())
    assert data == write_bundle(read_bundle(data))
    assert len(data) % bf.ALIGN == 0


def test_optional_sections_are_left_out() -> None:
    plan = dataclasses.replace(micro_plan(), payload=None, metadata={})
    bundle = read_whole(write_bundle(plan))
    assert all(s.required for s in bundle.sections)
    assert bundle.plan.payload is None
    assert bundle.plan.metadata == {}


def test_a_names_encoding_survives() -> None:
    plan = dataclasses.replace(micro_plan(), metadata={"author": "Jürgen Δ"})
    assert read_bundle(write_bundle(plan)).metadata == {"author": "Jürgen Δ"}


def refused_plans() -> dict[str, tuple[Plan, str]]:
    plan = micro_plan()
    conv = plan.steps[0]

    def with_step(**params: float) -> Plan:
        step = dataclasses.replace(conv, params={**conv.params, **params})
        return dataclasses.replace(plan, steps=(step, *plan.steps[1:]))

    pack = next(i for i, s in enumerate(plan.steps) if s.op is Op.PACK_BITS)
    no_bits = dataclasses.replace(plan.steps[pack], params={})
    tensor = dataclasses.replace(plan.tensors[0], shape=("m", 2, 3, 4))
    deep = dataclasses.replace(plan.tensors[0], shape=("n", *[1] * 6))
    large = dataclasses.replace(plan.tensors[0], place=-1)
    lost = HandPlan()
    y = lost.output("y", ("n", 2))
    lost.step(Op.COPY, [lost.arena("nothing", ("n", 2))], [y])

    def first(t: object) -> Plan:
        return dataclasses.replace(plan, tensors=(t, *plan.tensors[1:]))  # type: ignore[arg-type]

    return {
        "range": (with_step(groups=0), "groups = 0, legal is 1.."),
        "whole": (with_step(stride_h=1.5), "stride_h = 1.5"),
        "finite": (with_step(alpha=float("nan")), "alpha = nan is not finite"),
        "overflow": (with_step(alpha=1e39), "not finite"),
        "unknown": (with_step(bits=2), "CONV2D has no parameter 'bits'"),
        "needed": (
            dataclasses.replace(plan, steps=(*plan.steps[:pack], no_bits, *plan.steps[pack + 1 :])),
            "PACK_BITS needs parameter 'bits'",
        ),
        "operands": (
            dataclasses.replace(
                plan,
                steps=(dataclasses.replace(conv, inputs=conv.inputs[:2]), *plan.steps[1:]),
            ),
            "CONV2D takes 5 inputs and 1 outputs",
        ),
        "symbol": (first(tensor), "the symbols are 'n' and 'k'"),
        "rank": (first(deep), "rank 7"),
        "number": (first(large), "does not fit its record"),
        "unwritten": (lost.plan(), "tensor 'nothing': no earlier step writes its bytes"),
        "arena": (
            dataclasses.replace(plan, arena_bytes=plan.arena_bytes + 16),
            "its tensors end at",
        ),
        "control": (dataclasses.replace(plan, part="a\nb"), "control characters"),
        "pairing": (dataclasses.replace(plan, pairing_id=b"short"), "does not fit the header"),
        "n_max": (dataclasses.replace(plan, n_max=2**32), "tensors end at"),
    }


@pytest.mark.parametrize("case", refused_plans())
def test_the_writer_refuses(case: str) -> None:
    plan, message = refused_plans()[case]
    with pytest.raises(FormatError) as error:
        write_bundle(plan)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_vectors_must_fit() -> None:
    x = np.zeros((1, 2, 3, 4), np.float32)
    bad = {"z": x}, {"x": x[:, :1]}, {"x": x.astype(np.float64)}, {"x": x[0]}
    for vectors in bad:
        with pytest.raises(FormatError, match="golden vector"):
            write_bundle(micro_plan(), vectors=vectors)


def test_the_reader_refuses_truncation_and_damage() -> None:
    data = micro_bundle()
    for length in range(0, len(data), 7):
        with pytest.raises(FormatError):
            read_whole(data[:length])
    info = read_whole(data).sections
    for at in [0, 4, 8, 40, *(s.offset for s in info if s.length)]:
        damaged = bytearray(data)
        damaged[at] ^= 1
        with pytest.raises(FormatError):
            read_whole(bytes(damaged))


def test_version_is_named() -> None:
    data = bytearray(micro_bundle())
    data[4:8] = struct.pack("<HH", 3, 1)
    with pytest.raises(FormatError, match=r"format version 3\.1, supported is 1\.0 to 1\.7"):
        read_bundle(bytes(data))


def test_payload_layout() -> None:
    assert PayloadLayout(0x103, 5, 3).nbytes == 2
    assert read_bundle(micro_bundle()).payload == PayloadLayout(0x103, 5, 3)
