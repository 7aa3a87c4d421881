"""The latency model: worked out by hand, monotonic, and weights where they fit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from csideploy.errors import InputError
from csideploy.targets import Target, load, predict
from csideploy.targets.files import Utilisation
from csideploy.targets.kinds import KINDS, kind_by_name
from csideploy.targets.model import Excess, confidence, place

SURE = {"source": "by hand", "confidence": "P"}
SHARES = {
    **{"conv": 0.5, "narrow_conv": 0.25, "grouped_conv": 0.125, "block": 0.2},
    **{"linear": 1.0, "matmul": 0.5, "search": 0.1},
}


def core(**changes: Any) -> Target:
    """1 GHz, 4 fp32 and 16 int8 MACs a cycle, 2 element-wise operations, 1000 cycles a call."""
    tables: dict[str, Any] = {
        "title": "A core",
        "side": "ue",
        "cores": 1,
        "clock_hz": {"value": 1e9, **SURE},
        "elementwise_per_cycle": {"value": 2, **SURE},
        "overhead_cycles": {"value": 1000, **SURE},
        "mac_per_cycle": {
            "fp32": {"value": 4, **SURE},
            "int8": {"value": 16, **SURE},
            "binary": {"value": 8, **SURE},
        },
        "memories": [
            {"name": "near", "bytes": 1000, "bandwidth": 4e9, **SURE},
            {"name": "far", "bytes": 10_000, "bandwidth": 1e9, **SURE},
        ],
        "utilisation": {
            **SURE,
            "fp32": SHARES,
            "int8": SHARES,
            "binary": 0.5,
            "binary_int8": 2.0,
            "elements": {
                **{"elementwise": 0.5, "function": 0.1, "integer": 0.25},
                **{"move": 0.5, "bits": 0.1},
            },
        },
        "name": "core",
    }
    return Target.model_validate(tables | changes)


def layer(**figures: Any) -> dict[str, Any]:
    """As a report describes one."""
    keys = ("macs", "binary_macs", "elementwise", "bit_operations", "fp32_bytes", "int8_bytes")
    more = ("binary_bytes", "input_bytes", "output_bytes")
    named = {"name": "layer", "op": "CONV2D", "kind": "conv"}
    return {**dict.fromkeys((*keys, *more), 0), **named, **figures}


def test_arithmetic_by_hand() -> None:
    # 8000 MACs at 4 x 0.5 a cycle are 4000 cycles, 500 operations at 2 x 0.5 are 500.
    (time,) = predict([layer(macs=8000, elementwise=500, fp32_bytes=400)], core())
    assert time.arithmetic_s == pytest.approx(4.5e-6)
    assert time.memory_s == pytest.approx(400 / 4e9)
    assert time.overhead_s == pytest.approx(1e-6)
    assert time.latency_s == pytest.approx(5.5e-6)
    assert time.bound == "arithmetic"


def test_memory_by_hand() -> None:
    # 2000 bytes of weights are in the far memory, 300 of activations in the near one.
    one = layer(kind="linear", op="LINEAR", macs=500, fp32_bytes=2000)
    (time,) = predict([{**one, "input_bytes": 100, "output_bytes": 200}], core())
    assert time.memory_s == pytest.approx(2000 / 1e9 + 300 / 4e9)
    assert time.latency_s == pytest.approx(time.memory_s + 1e-6)
    assert time.bound == "memory"


@pytest.mark.parametrize(
    ("figures", "cycles"),
    [
        ({"op": "LINEAR", "kind": "linear", "macs": 400}, 400 / 4),
        ({"op": "QLINEAR", "kind": "linear", "macs": 400}, 400 / 16),
        ({"op": "QCONV2D", "kind": "grouped_conv", "macs": 400}, 400 / 2),
        ({"op": "CONV_BLOCK", "kind": "block", "macs": 400}, 400 / 0.8),
        # Of integers where its middle convolution is.
        ({"op": "CONV_BLOCK", "kind": "block", "macs": 400, "int8_bytes": 8}, 400 / 3.2),
        ({"op": "BINARY_LINEAR", "kind": "binary_linear", "macs": 400, "binary_macs": 400}, 100),
        ({"op": "QBINARY_LINEAR", "kind": "binary_linear", "macs": 400, "binary_macs": 400}, 25),
        ({"op": "SOFTMAX", "kind": "function", "elementwise": 40}, 200),
        ({"op": "PACK_BITS", "kind": "bits", "bit_operations": 40}, 200),
        ({"op": "TRANSPOSE", "kind": "move", "output_bytes": 160}, 40),
        # An operation that multiplies, and is of no kind that is known to: as slow as a search.
        ({"op": "SOMETHING", "kind": "elementwise", "macs": 4}, 10),
    ],
)
def test_peaks_and_shares_of_kinds(figures: dict[str, Any], cycles: float) -> None:
    (time,) = predict([layer(**figures)], core())
    assert time.arithmetic_s == pytest.approx(cycles / 1e9)


def test_float_layers_asked_for_as_integers() -> None:
    one = layer(kind="linear", op="LINEAR", macs=1600, fp32_bytes=2000)
    (time,) = predict([one], core(), precision="int8")
    assert time.arithmetic_s == pytest.approx(100 / 1e9)
    assert time.memory_s == pytest.approx(500 / 4e9)  # a quarter of the bytes, in the near memory
    with pytest.raises(InputError, match="precision int4: one of fp32, int8"):
        predict([one], core(), precision="int4")


def test_a_device_without_floats_says_so() -> None:
    with pytest.raises(InputError, match="rfsoc has no fp32 units, layer layer needs them"):
        predict([layer(macs=1)], load("rfsoc"))
    assert predict([layer(op="QCONV2D", macs=1)], load("rfsoc"))[0].latency_s > 0


def test_weights_of_all_layers_share_a_memory() -> None:
    # 600 bytes fit beside 300 of activations; twice 600 do not.
    one = layer(fp32_bytes=600, output_bytes=300)
    assert place([one], core()).weights.name == "near"
    both = place([one, one], core())
    assert (both.weights.name, both.activations.name, both.fits) == ("far", "near", True)
    # The arena takes the near memory from both.
    assert place([one], core(), arena_bytes=900).weights.name == "far"
    lost = place([layer(fp32_bytes=20_000)], core())
    assert (lost.weights.name, lost.fits) == ("far", False)
    assert lost.excess == (Excess("weights", "far", 20_000, 10_000),)


def test_an_arena_takes_room_where_it_is_alone() -> None:
    # It is in the near memory: the far one has room for weights that fill it.
    placed = place([layer(fp32_bytes=10_000)], core(), arena_bytes=900)
    assert (placed.weights.name, placed.activations.name, placed.fits) == ("far", "near", True)
    # Both in the far one: 9500 and 1100 of 10,000.
    (excess,) = place([layer(fp32_bytes=9500)], core(), arena_bytes=1100).excess
    assert (excess.what, excess.memory) == ("weights and arena", "far")
    assert (excess.nbytes, excess.most) == (10_600, 10_000)


def test_a_side_is_as_sure_as_the_kinds_that_it_uses() -> None:
    target = core()
    assert target.utilisation is not None
    some = target.utilisation.model_copy(update={"estimated": ["int8.search", "fp32.matmul"]})
    calibrated = target.model_copy(update={"utilisation": some})
    plain = layer(macs=8)
    search = layer(op="TABLE_SEARCH", kind="search", macs=8)
    product = layer(op="MATMUL", kind="matmul", macs=8)
    assert confidence([plain], calibrated) == "P"
    assert confidence([plain, search], calibrated) == "P"
    assert confidence([plain, search], calibrated, precision="int8") == "M"
    assert confidence([plain, product], calibrated) == "M"
    with pytest.raises(ValidationError, match=r"no share int8\.searches"):
        Utilisation.model_validate({**some.model_dump(), "estimated": ["int8.searches"]})


def test_flash_holds_weights_alone() -> None:
    small = layer(fp32_bytes=1000, output_bytes=200_000)
    placed = place([small], load("cortex-m4"))
    assert (placed.weights.name, placed.activations.name) == ("flash", "SRAM")
    assert not placed.fits


def test_an_older_report_names_no_kinds() -> None:
    old = layer(op="LINEAR", macs=400)
    del old["kind"], old["bit_operations"], old["input_bytes"], old["output_bytes"]
    (time,) = predict([old], core())
    assert time.arithmetic_s == pytest.approx(100 / 1e9)
    assert kind_by_name("NO_SUCH") == "elementwise"


KIND_OPS = st.sampled_from([("CONV2D", kind) for kind in KINDS] + [("QCONV2D", k) for k in KINDS])


@given(
    kind=KIND_OPS,
    macs=st.integers(0, 10**8),
    size=st.integers(0, 20_000),
    more=st.integers(1, 10**6),
    faster=st.floats(1.0, 10.0),
)
def test_more_work_never_takes_less_time(
    kind: tuple[str, str], macs: int, size: int, more: int, faster: float
) -> None:
    figures = {"op": kind[0], "kind": kind[1], "macs": macs, "fp32_bytes": size}
    (base,) = predict([layer(**figures)], core())
    (harder,) = predict([layer(**figures | {"macs": macs + more})], core())
    (larger,) = predict([layer(**figures | {"fp32_bytes": size + more})], core())
    (longer,) = predict([layer(**figures, elementwise=more)], core())
    quick = core(clock_hz={"value": 1e9 * faster, **SURE})
    (sooner,) = predict([layer(**figures)], quick)
    for other in (harder, larger, longer):
        assert other.latency_s >= base.latency_s
    # Cycles are rounded differently at another clock.
    assert sooner.latency_s <= base.latency_s * (1 + 1e-12)
    assert base.latency_s >= max(base.arithmetic_s, base.memory_s)
