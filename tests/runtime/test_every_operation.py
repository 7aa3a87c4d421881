"""The committed micro-bundle: it is what its script builds, holds every operation, and computes
what it computed when its golden vectors were written."""

import every_operation
import numpy as np
import pytest
from every_operation import FILE, bundle, inputs, plan

from csideploy.export.bundle_read import read_whole
from csideploy.export.operation_rules import IN_PLACE
from csideploy.export.plan import OPS, DType, Op, Storage
from csideploy.runtime import Part

NAMED = "if that is meant: python tests/runtime/every_operation.py --write"


def test_the_file_is_what_the_script_builds() -> None:
    assert FILE.read_bytes() == bundle(FILE.read_bytes()), f"stale; {NAMED}"
    assert FILE.stat().st_size < 37_888


def test_golden_vectors_hold() -> None:
    """To the last bit, on every machine: no operation leaves its rounding to a library."""
    part, vectors = Part(FILE), read_whole(FILE.read_bytes()).vectors
    results = part.run(*(vectors[t.name] for t in part.inputs))
    for info, result in zip(part.outputs, results, strict=True):
        assert np.array_equal(result, vectors[info.name]), f"{info.name} changed; {NAMED}"
        assert len(np.unique(result)) > 2
    assert all(
        np.array_equal(v, a) for v, a in zip(vectors.values(), inputs(3, 3, 3), strict=False)
    )


def test_it_holds_everything() -> None:
    whole = plan()
    assert {step.op for step in whole.steps} == set(Op)
    assert {t.dtype for t in whole.tensors} == set(DType)
    assert {t.storage for t in whole.tensors} == set(Storage)
    assert any("k" in t.shape for t in whole.tensors)
    assert (whole.n_max, whole.k_max) == (2, 3)
    for op in Op:
        steps = [step for step in whole.steps if step.op is op]
        for i, role in enumerate(OPS[op].inputs):
            # A slope comes with PReLU, which three operations have here.
            assert role == "slope?" or any(step.inputs[i] is not None for step in steps), op.name


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_batch_is_its_samples(k: int) -> None:
    part, arrays = Part(FILE), inputs(5, k, seed=k)
    whole = part.run(*arrays)
    for i in range(5):
        one = part.run(*(a[i : i + 1] for a in arrays))
        assert all(np.array_equal(a[0], b[i]) for a, b in zip(one, whole, strict=True))


@pytest.mark.parametrize("poison", [0x00, 0xA5, 0xFF])
def test_a_poisoned_arena_changes_nothing(poison: int) -> None:
    part, arrays = Part(FILE), inputs(3, 3, seed=9)
    expected = part.run(*arrays)
    part._core.fill_arena(poison)
    assert all(np.array_equal(a, b) for a, b in zip(part.run(*arrays), expected, strict=True))


def test_the_arena_is_exact() -> None:
    part, arrays = Part(FILE), inputs(3, 3, seed=9)
    expected = part.run(*arrays)
    assert part._core.set_arena(part.arena_bytes)
    assert all(np.array_equal(a, b) for a, b in zip(part.run(*arrays), expected, strict=True))
    assert not part._core.set_arena(part.arena_bytes - 1)


def test_every_in_place_right_is_used_or_named() -> None:
    """In-place steps of the micro-bundle; the rest of the rights have tests of their own."""
    whole = plan()
    used = set()
    for step in whole.steps:
        out = whole.tensors[step.outputs[0]]
        for role, index in zip(OPS[step.op].inputs, step.inputs, strict=True):
            tensor = None if index is None else whole.tensors[index]
            if tensor and (tensor.storage, tensor.place) == (out.storage, out.place):
                used.add((step.op, role))
    assert used <= {(op, role) for op, roles in IN_PLACE.items() for role in roles}
    assert {op for op, _ in used} >= {Op.ADD, Op.BINARY, Op.UNARY, Op.SOFTMAX, Op.ACTIVATION}


def test_the_command_says_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert every_operation.main([]) == 0
    assert capsys.readouterr().out == "fresh\n"
