"""Integer kernels on Helium equal their NumPy specification: odd sizes, both ends of every type."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

from machines import MACHINES, build, run

from csideploy.c_folder import write_files
from csideploy.export.bundle_write import write_bundle
from csideploy.export.emit_c import emit_c
from csideploy.export.integer.convolution import qconv2d
from csideploy.export.integer.linear import qbinary_linear, qlinear
from csideploy.export.plan import Op

Array = NDArray[Any]
TYPES = (np.uint8, np.int8, np.int16)
SIZES = ((1, 1), (7, 2), (16, 3), (131, 5), (256, 129), (300, 7))
"""Inputs and outputs: tails of bits and bytes, an odd last row, more than one run of inputs."""


class _Steps:
    def __init__(self) -> None:
        self.hand, self.rng = HandPlan(), np.random.default_rng(11)
        self.vectors: dict[str, Array] = {}

    def codes(self, dtype: Any, *shape: int) -> Array:
        info = np.iinfo(dtype)
        values = self.rng.integers(info.min, info.max, shape, endpoint=True)
        ends = self.rng.choice([info.min, info.max], shape)
        return np.where(self.rng.random(shape) < 0.3, ends, values).astype(dtype)

    def add(self, op: Op, x: Array, constants: list[Array], expected: Array, **params: int) -> None:
        number = len(self.hand.steps)
        given = [self.hand.input(f"x{number}", ("n", *x.shape[1:]), x.dtype)]
        given += [self.hand.constant(f"c{number}_{i}", c) for i, c in enumerate(constants)]
        y = self.hand.output(f"y{number}", ("n", *expected.shape[1:]), expected.dtype)
        self.hand.step(op, list(given), [y], **params)
        self.vectors |= {f"x{number}": x, f"y{number}": expected}

    def scale(self, products: int, x: Array, count: int) -> Array:
        """About one result in twenty saturates an i16."""
        spread = np.sqrt(products) * np.abs(x.astype(np.float64)).max()
        return np.full(count, 12000 / spread, np.float32)


def _linear(steps: _Steps, x_type: Any, zero: int) -> None:
    params = {"x_zero": zero, "y_zero": 3, "low": -30000, "high": 32767}
    for inputs, outputs in SIZES:
        x = steps.codes(x_type, 1, inputs)
        bias = steps.rng.integers(-1000, 1000, outputs).astype(np.int32)
        bits = steps.rng.integers(0, 256, (outputs, -(-inputs // 8)), np.uint8)
        scale = steps.scale(inputs, x, outputs)
        expected = qbinary_linear(x, bits, bias, scale, dtype=np.int16, **params)
        steps.add(Op.QBINARY_LINEAR, x, [bits, bias, scale], expected, **params)
        w = steps.codes(np.int8, outputs, inputs)
        scale = (scale / 100).astype(np.float32)
        expected = qlinear(x, w, bias, scale, dtype=np.int16, **params)
        steps.add(Op.QLINEAR, x, [w, bias, scale], expected, **params)


def _convolution(steps: _Steps, x_type: Any, zero: int) -> None:
    same = dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w"), 1)
    pads = {"pad_top": 1, "pad_bottom": 1, "pad_left": 2, "pad_right": 2}
    window = {**same, **pads, "groups": 2}
    params = {"x_zero": zero, "y_zero": -5, "low": -32768, "high": 32767}
    x, w = steps.codes(x_type, 1, 4, 5, 37), steps.codes(np.int8, 6, 2, 3, 5)
    bias = steps.rng.integers(-1000, 1000, 6).astype(np.int32)
    scale = (steps.scale(30, x, 6) / 100).astype(np.float32)
    expected = qconv2d(x, w, bias, scale, window, dtype=np.int16, **params)
    steps.add(Op.QCONV2D, x, [w, bias, scale], expected, **window, **params)


def test_integer_kernels_on_an_emulated_cortex_m55(tmp_path: Path) -> None:
    (machine,) = [m for m in MACHINES if m.chain.board == "mps3_an547"]
    for tool in machine.chain.tools():
        if shutil.which(tool) is None:
            pytest.skip(f"not installed: {tool}")
    steps = _Steps()
    for x_type, zero in ((np.uint8, 0), (np.uint8, 131), (np.int8, -128), (np.int16, 0)):
        _linear(steps, x_type, zero)
        _convolution(steps, x_type, zero)
    _linear(steps, np.int16, -77)  # where x - zero needs 17 bits
    results = [y for name, y in steps.vectors.items() if name.startswith("y")]
    inner = np.concatenate([y.ravel() for y in results])
    assert np.mean((inner > -30000) & (inner < 32767)) > 0.8
    bundle = write_bundle(steps.hand.plan())
    folder = tmp_path / "c"
    write_files(folder, emit_c(bundle, title="helium", vectors=steps.vectors, samples=1))
    assert (folder / "kernels/arm/helium.h").is_file()
    defines = ("-DCSD_QUIET", "-DCSD_TOLERANCE=0.0f")
    build(machine, folder, tmp_path / "program", folder / "main.c", *defines)
    run(machine, tmp_path / "program")
