"""What an instruction set makes of a part's constants: asked for, checked, handed to kernels."""

from pathlib import Path

import numpy as np
import pytest
from c_build import SANITIZE, build, compiler, run
from every_operation import FILE
from hand_plan import HandPlan

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op
from csideploy.runtime import Part, instruction_sets

WINDOW = {
    **dict.fromkeys(("groups", "stride_h", "stride_w", "dilation_h", "dilation_w"), 1),
    **dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 1),
}
LIMITS = {"x_zero": 0, "y_zero": 0, "low": -32768, "high": 32767}


def test_each_step_gets_what_its_preparer_made(repository: Path, tmp_path: Path) -> None:
    program = build(
        repository,
        compiler("clang", "gcc"),
        tmp_path / "prepare",
        "-g",
        "-O1",
        *SANITIZE,
        main="prepare_driver.c",
    )
    lines = run([program, FILE]).splitlines()
    assert len(lines) == 15
    assert [line for line in lines if not line.endswith(" ok")] == []


@pytest.mark.parametrize("isa", instruction_sets())
def test_a_step_that_wants_nothing_gets_no_memory(isa: str) -> None:
    """The second convolution's last output passes 32 bits, which its preparer sees late."""
    rng, hand = np.random.default_rng(3), HandPlan()
    x = rng.integers(-99, 99, (1, 4, 9, 32)).astype(np.int16)
    at = hand.input("x", ("n", *x.shape[1:]), np.int16)
    for name, largest in (("first", 5), ("second", 2**31 - 1)):
        weight = hand.constant(f"{name}.w", rng.integers(-127, 128, (64, 4, 3, 3)).astype(np.int8))
        bias = hand.constant(f"{name}.b", np.array([5] * 63 + [largest], np.int32))
        scale = hand.constant(f"{name}.m", np.full(64, 1e-4, np.float32))
        y = hand.output(name, ("n", 64, 9, 32), np.int16)
        hand.step(Op.QCONV2D, [at, weight, bias, scale], [y], **WINDOW, **LIMITS)
    bundle = write_bundle(hand.plan())
    expected = Part(bundle, isa="reference").run(x)
    for made, want in zip(Part(bundle, isa=isa).run(x), expected, strict=True):
        assert np.array_equal(made, want)


@pytest.mark.parametrize("isa", instruction_sets())
def test_what_is_prepared_has_a_bound(isa: str) -> None:
    """A small file whose many steps name the same weight: each would take 4 MiB, prepared."""
    hand = HandPlan()
    x = hand.input("x", ("n", 32768))
    weight = hand.constant("w", np.full((1, 4096), 0xA5, np.uint8))
    scale = hand.constant("s", np.ones(1, np.float32))
    for i in range(48):
        y = hand.output(f"y{i}", ("n", 1))
        hand.step(Op.BINARY_LINEAR, [x, weight, scale, None, None], [y], activation=0, alpha=0.0)
    bundle = write_bundle(hand.plan())
    part = Part(bundle, isa=isa)
    assert part._core.prepared_bytes <= 2**24 + 5 * len(bundle)
    rows = np.random.default_rng(4).normal(size=(1, 32768)).astype(np.float32)
    expected = Part(bundle, isa="reference").run(rows)
    assert [a.tobytes() for a in part.run(rows)] == [a.tobytes() for a in expected]
