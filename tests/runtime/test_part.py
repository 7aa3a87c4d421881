"""The Python face of the runtime: arrays in and out, batches, traces, times, errors."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_surgery import repair
from hand_plan import HandPlan, micro_bundle, micro_plan
from numpy.typing import NDArray

from csideploy.errors import FormatError, InputError
from csideploy.export import bundle_fields as bf
from csideploy.export.bundle_read import read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op
from csideploy.runtime import Part, TensorInfo

Array = NDArray[Any]
GOOD = micro_bundle()


def samples(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, 2, 3, 4)).astype(np.float32)


def test_attributes() -> None:
    part = Part(GOOD)
    assert (part.part, part.side) == ("encoder", "ue")
    assert part.pairing_id == bytes(range(16))
    assert part.inputs == [TensorInfo("x", "float32", ("n", 2, 3, 4))]
    assert [t.name for t in part.outputs] == ["codes", "payload", "y"]
    assert part.payload is not None
    assert (part.payload.layout_id, part.payload.count) == (0x103, 5)
    assert (part.payload.bits, part.payload.nbytes) == (3, 2)
    assert part.arena_bytes == micro_plan().arena_bytes
    assert part.steps == [s.name for s in micro_plan().steps]
    assert part.metadata == {"system": "micro", "version": "1"}
    assert (part.n_max, part.k_max) == (2, 1)


def test_from_a_file_and_from_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / "ue.csib"
    path.write_bytes(GOOD)
    x = samples(1)
    for source in (path, str(path), bytearray(GOOD), memoryview(GOOD)):
        assert np.array_equal(Part(source).run(x)[2], Part(GOOD).run(x)[2])
    with pytest.raises(InputError, match=r"none\.csib: cannot be read: No such file"):
        Part(tmp_path / "none.csib")
    path.write_bytes(GOOD[:-5])
    with pytest.raises(FormatError, match=r"ue\.csib: refused at header, total_size"):
        Part(path)


def test_golden_vectors_hold() -> None:
    vectors = read_whole(GOOD).vectors
    results = Part(GOOD).run(vectors["x"])
    for name, result in zip(("codes", "payload", "y"), results, strict=True):
        assert np.array_equal(result, vectors[name])
    assert len(np.unique(vectors["codes"])) > 2


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_a_batch_is_its_samples(count: int) -> None:
    part, x = Part(GOOD), samples(count)
    batch = part.run(x)
    for got, info in zip(batch, part.outputs, strict=True):
        assert got.shape == (count, *info.shape[1:])
        assert got.dtype == info.dtype
    for i in range(count):
        one = part.run(x[i : i + 1])
        assert all(np.array_equal(a[0], b[i]) for a, b in zip(one, batch, strict=True))


def test_any_layout_of_an_input() -> None:
    part, x = Part(GOOD), samples(3)
    expected = part.run(x)
    padded = np.zeros((3, 4, 6, 8), np.float32)
    padded[:, ::2, ::2, ::2] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    for same in (np.asfortranarray(x), padded[:, ::2, ::2, ::2], frozen):
        assert all(np.array_equal(a, b) for a, b in zip(part.run(same), expected, strict=True))


def test_out() -> None:
    part, x = Part(GOOD), samples(3)
    expected = part.run(x)
    out = [np.full_like(e, 99) for e in expected]
    results = part.run(x, out=out)
    for result, mine, want in zip(results, out, expected, strict=True):
        assert result is mine
        assert np.array_equal(mine, want)


def bad_calls() -> dict[str, tuple[tuple[Any, ...], dict[str, Any], str]]:
    x = samples(2)
    codes, payload, y = (
        np.zeros((2, 5), np.uint8),
        np.zeros((2, 2), np.uint8),
        np.zeros((2, 5, 1), np.float32),
    )
    frozen = y.copy()
    frozen.flags.writeable = False
    whole = np.zeros(64, np.float32)
    return {
        "none": ((), {}, r"0 arrays given, the part takes 1 \(x\)"),
        "two": ((x, x), {}, "2 arrays given"),
        "dtype": ((x.astype(np.float64),), {}, "float64 given, the part takes float32"),
        "list": (([1, 2],), {}, "list given"),
        "byte order": ((x.astype(">f4"),), {}, ">f4 given"),
        "rank": ((x[0],), {}, r"shape \(2, 3, 4\) given, the part takes \(n, 2, 3, 4\)"),
        "shape": ((x[:, :1],), {}, r"shape \(2, 1, 3, 4\)"),
        "out count": ((x,), {"out": [codes]}, "out has 1 arrays, the part has 3"),
        "out shape": ((x,), {"out": [codes[:1], payload, y]}, "out codes"),
        "out dtype": ((x,), {"out": [codes, payload, y.astype(np.float64)]}, "out y: float64"),
        "out frozen": ((x,), {"out": [codes, payload, frozen]}, "out y: must be"),
        "out strided": (
            (x,),
            {"out": [codes, payload, whole[:20:2].reshape(2, 5, 1)]},
            "out y: must be",
        ),
        "out shared": (
            (whole[:48].reshape(2, 2, 3, 4),),
            {"out": [codes, payload, whole[8:18].reshape(2, 5, 1)]},
            "out y: shares memory",
        ),
    }


@pytest.mark.parametrize("case", bad_calls())
def test_bad_calls(case: str) -> None:
    arrays, options, message = bad_calls()[case]
    with pytest.raises(InputError, match=message) as error:
        Part(GOOD).run(*arrays, **options)
    assert "\n" not in str(error.value)


def users_part() -> Part:
    """x (n, k, 3) and y (n, k, 3) -> their sum, for up to 4 users."""
    hand = HandPlan(n_max=2, k_max=4)
    a, b = hand.input("a", ("n", "k", 3)), hand.input("b", ("n", "k", 3))
    t = hand.arena("t", ("n", "k", 3))
    hand.step(Op.ADD, [a, b], [t])
    hand.step(Op.ACTIVATION, [t], [hand.output("y", ("n", "k", 3))], activation=Activation.RELU)
    return Part(write_bundle(hand.plan()))


@pytest.mark.parametrize("users", [1, 3, 4])
def test_users(users: int) -> None:
    a = np.random.default_rng(users).normal(size=(5, users, 3)).astype(np.float32)
    (y,) = users_part().run(a, 2 * a)
    assert np.array_equal(y, np.maximum(a + 2 * a, 0))


def test_users_beyond_the_maximum_or_unequal() -> None:
    part = users_part()
    a = np.ones((1, 5, 3), np.float32)
    with pytest.raises(InputError, match=r"5 users, the part takes 1\.\.4"):
        part.run(a, a)
    with pytest.raises(InputError, match="input b: shape"):
        part.run(a[:, :2], a[:, :3])
    with pytest.raises(InputError, match="input b: shape"):
        part.run(a[:, :2], np.ones((2, 2, 3), np.float32))


def test_trace_names_every_step() -> None:
    part, x = Part(GOOD), samples(1)
    trace = part.trace(x)
    assert [name for name, _ in trace] == part.steps
    final = dict(trace)
    codes, payload, y = part.run(x)
    assert np.array_equal(final["quantize_uniform6"][0], codes)
    assert np.array_equal(final["pack_bits7"][0], payload)
    assert np.array_equal(final["copy10"][0], y)
    # An in-place step follows: the trace holds the value before it.
    conv, total = final["conv2d0"][0], final["add1"][0]
    summed = conv + x
    expected = np.where(summed < 0, np.float32(0.25) * summed, summed)
    assert np.array_equal(total, expected)
    with pytest.raises(InputError, match="one sample"):
        part.trace(samples(2))


def test_profile() -> None:
    part = Part(GOOD)
    times = part.profile(samples(3), rounds=4)
    assert [t.name for t in times] == part.steps
    assert all(0 <= t.minimum <= t.median for t in times)
    with pytest.raises(InputError, match="at least one round"):
        part.profile(samples(1), rounds=0)
    with pytest.raises(InputError, match="one sample"):
        part.profile(samples(0))


def test_the_arena_is_exact() -> None:
    """Runs with arena_bytes and refuses one byte less."""
    part, x = Part(GOOD), samples(4)
    expected = part.run(x)
    core = part._core
    assert core.set_arena(part.arena_bytes)
    assert all(np.array_equal(a, b) for a, b in zip(part.run(x), expected, strict=True))
    assert not core.set_arena(part.arena_bytes - 1)
    assert not core.set_arena(0)


@pytest.mark.parametrize("poison", [0xA5, 0xFF])
def test_a_poisoned_arena_changes_nothing(poison: int) -> None:
    """No step reads what no step of the same call has written. 0xFF makes NaN of every float."""
    part, x = Part(GOOD), samples(3)
    expected = part.run(x)
    for count in (1, 2, 3):
        part._core.fill_arena(poison)
        results = part.run(x[:count])
        assert all(np.array_equal(a, b[:count]) for a, b in zip(results, expected, strict=True))


@pytest.mark.parametrize("place", [2**46, 2**62])
def test_an_arena_that_no_machine_has(place: int) -> None:
    """Legal in the format, with one tensor far away; an answer, not a crash."""
    hand = HandPlan()
    far = hand.arena("far", ("n", 4), place=place)
    hand.step(Op.COPY, [hand.input("x", ("n", 4))], [far])
    hand.step(Op.COPY, [far], [hand.output("y", ("n", 4))])
    data = write_bundle(hand.plan())
    assert bf.HEADER.unpack(data, 0)["arena_bytes"] == place + 16
    with pytest.raises(InputError, match=f"its arena of {place + 16:,} bytes is more than"):
        Part(data)


def test_names_that_are_no_utf_8() -> None:
    """Names are for people: what cannot be read is shown as a replacement character."""
    data = bytearray(GOOD)
    names = next(r for r in read_whole(GOOD).sections if r.name == "names")
    for i in range(names.offset, names.offset + names.length):
        data[i] = 0xE5 if data[i] else 0
    part = Part(repair(data))
    assert set(part.part) == {"\ufffd"}
    assert "\ufffd" in part.inputs[0].name
    assert all("\ufffd" in name for name in part.steps)


def test_a_part_may_be_called_from_several_threads() -> None:
    part, x = Part(GOOD), samples(500)
    expected = part.run(x)
    wrong = []

    def work() -> None:
        for _ in range(10):
            got = part.run(x)
            wrong.extend(a for a, b in zip(got, expected, strict=True) if not np.array_equal(a, b))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_any_input_value_runs() -> None:
    """NaN, infinities and subnormals are input too."""
    x = samples(6)
    x.reshape(6, -1)[:, 3] = [np.nan, np.inf, -np.inf, 1e-40, 3e38, -0.0]
    codes, payload, y = Part(GOOD).run(x)
    assert codes.max() < 8
    assert payload.shape == (6, 2)
    assert np.isfinite(y).all()


def test_the_runtime_imports_numpy_alone() -> None:
    program = (
        "import sys, csideploy.runtime\n"
        "bad = {'torch', 'onnx', 'onnxruntime', 'scipy', 'csideploy.export'} & set(sys.modules)\n"
        "sys.exit(' '.join(sorted(bad)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
