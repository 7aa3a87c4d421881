"""`python -m benchmarks`: what is measured, judged and told."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hand_plan import HandPlan

from benchmarks.__main__ import ROWS, arguments
from benchmarks.rows import codebooks, misses, peers, roofline
from benchmarks.rows.low_bit import low_bit_forms
from benchmarks.rows.measure import OURS, Check, Cold, Peer, Row, figures_of, holds, take_turns
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import Op
from csideploy.export.residual_models import quantizer_model
from csideploy.link_source import Bits, from_zoo


def a_row(**about: Any) -> Row:
    windows = {OURS: lambda _: 2e-6, "peer": lambda _: 18e-6}
    return Row("W9", "", "nothing", windows, {"peer": Peer(9, 14)}, **about)


def made(row: Row, *peer: float) -> dict[str, Any]:
    return figures_of(row, {OURS: [2e-6, 4e-6, 3e-6], "peer": list(peer)})


def test_ratios_are_those_of_the_minima_and_of_the_rounds() -> None:
    figures = made(a_row(), 18e-6, 40e-6, 36e-6)
    assert figures["peers"]["peer"]["min"] == pytest.approx(9)
    assert figures["peers"]["peer"]["paired"] == pytest.approx(10)
    assert figures["seconds"][OURS] == {"min": 2e-6, "median": 3e-6}
    assert holds(figures) is True
    assert figures["peers"]["peer"]["reaches_goal"] is False


def test_what_is_asked_for_fails_by_time_by_a_check_and_by_a_limit() -> None:
    assert holds(made(a_row(), 17e-6, 40e-6, 36e-6)) is False
    assert holds(made(a_row(checks=[Check("codes", False)]), 30e-6, 30e-6, 30e-6)) is False
    slow = a_row(at_most={OURS: 1e-6})
    assert holds(made(slow, 30e-6, 30e-6, 30e-6)) is False
    unjudged = Row("W0", "", "", a_row().windows, {"peer": Peer()})
    assert holds(made(unjudged, 1e-6, 1e-6, 1e-6)) is None


def test_turns_are_as_many_for_each_and_the_order_is_reversed() -> None:
    seen: list[str] = []

    def window(name: str) -> Any:
        def one(_: int) -> float:
            seen.append(name)
            return 1e-3

        return one

    found = take_turns({"a": window("a"), "b": window("b")}, rounds=6, window_s=1e-3, most_s=1000.0)
    assert {name: len(own) for name, own in found.items()} == {"a": 6, "b": 6}
    assert seen[-12:] == ["a", "b", "b", "a"] * 3


def test_a_window_from_cold_caches_is_one_call_after_a_walk() -> None:
    cold, calls = Cold(), []
    before = int(cold._walked[-1])
    window = cold.window(lambda: calls.append(int(cold._walked[-1])))
    window(50)
    window(1)
    assert calls == [before + 1, before + 2]


def test_low_bit_forms_compute_the_encoder() -> None:
    """One of them is exact: 2 bits with unquantized inputs; the others are near."""
    ue = from_zoo("bacrnet10x", cr=None, bits=Bits(), binarize=None).ue
    x = np.random.default_rng(3).normal(0.5, 0.02, (4, 2, 32, 32)).astype(np.float32)
    codes = peers.onnxruntime_session(ue).run(["codes"], {"x": x})[0].astype(int)
    forms = low_bit_forms(ue)
    assert len(forms) == 7
    apart = {}
    for name, (model, settings) in forms.items():
        own = peers.onnxruntime_session(model, settings).run(["codes"], {"x": x})[0]
        apart[name] = np.abs(own.astype(int) - codes)
        assert apart[name].max() <= 3, name
        assert apart[name].mean() < 0.3, name
    assert min(own.mean() for own in apart.values()) < 0.01


def test_work_of_a_bundle_by_kind_of_instruction() -> None:
    books = [np.random.default_rng(1).normal(size=(16, 8)).astype(np.float32)] * 2
    data = write_bundle(compile_model(quantizer_model(books), part="q", side="ue"))
    work = roofline.work_of(data, samples=3)
    assert work.operations == {roofline.DOT8: 3 * 2 * 16 * 8}
    machine = roofline.Machine({roofline.DOT8: 1e9}, dict.fromkeys(roofline.LEVELS, 1e12), 512)
    limit = roofline.limit(machine, work)
    assert limit["seconds"] == pytest.approx(768e-9)
    assert limit["binds"] == roofline.DOT8
    slow = roofline.Machine({roofline.DOT8: 1e12}, {**machine.read, "DRAM": 1e6}, 512)
    assert roofline.limit(slow, work, cold=True)["binds"] == "DRAM bandwidth"
    assert roofline.limit(roofline.Machine({}, machine.read, 128), work)["seconds"] is None


@pytest.mark.parametrize(
    ("inner", "outer", "bits", "work"),
    [
        (np.float32, np.float32, 8, {roofline.PAIRS: 12 * (24 + 48 + 12)}),
        (np.int8, np.float32, 8, {roofline.DOT8: 12 * 48, roofline.PAIRS: 12 * (24 + 12)}),
        (np.int8, np.float32, 16, {roofline.DOT16: 12 * 48, roofline.PAIRS: 12 * (24 + 12)}),
        (np.int8, np.int16, 8, {roofline.DOT8: 12 * 48, roofline.DOT16: 12 * (24 + 12)}),
        (np.int8, np.int16, 16, {roofline.DOT16: 12 * (24 + 48 + 12)}),
    ],
)
def test_work_of_a_block_by_its_weights(
    inner: type, outer: type, bits: int, work: dict[str, float]
) -> None:
    hand = HandPlan()
    rows = 4 + (inner is np.int8) + (outer is np.int16)
    constants = [((4, 2, 1, 3), outer), ((rows, 4), np.float32), ((4, 2, 3, 2), inner)]
    constants.append(((1, 4, 3, 1), outer))
    held = [hand.constant(str(i), np.ones(*c)) for i, c in enumerate(constants)]
    made = [hand.output("y", ("n", 1, 3, 4)), hand.arena("scratch", (48,))]
    operands = [hand.input("x", ("n", 2, 3, 4)), *held, None, None, None]
    hand.step(Op.CONV_BLOCK, operands, made, groups=2, code_bits=bits)
    assert roofline.work_of(write_bundle(hand.plan())).operations == work


def test_an_index_that_is_not_the_nearest_fails() -> None:
    rng = np.random.default_rng(2)
    books = [rng.normal(size=(1024, 8)).astype(np.float32) for _ in range(3)]
    x = rng.normal(size=(20, 8)).astype(np.float32)
    data = write_bundle(compile_model(quantizer_model(books), part="q", side="ue"))
    part = codebooks.Part(data)
    assert all(check.holds for check in codebooks._identical(data, part, books, x))
    moved = [books[0][::-1], *books[1:]]  # the part's words under other numbers
    assert not all(check.holds for check in codebooks._identical(data, part, moved, x))


def test_the_committed_results_have_every_row_and_no_machine_name(repository: Path) -> None:
    results = json.loads((repository / "benchmarks/results.json").read_text())
    assert {row["row"] for row in results["rows"]} == set(ROWS)
    assert results["settings"]["repeat"] == 3
    assert results["settings"]["busy"]
    assert all(len(row["runs"]) == 3 for row in results["rows"])
    assert all("mixed" in row["what"] for row in results["rows"] if row["row"] in ("W1q", "W2"))
    for row in results["rows"]:
        assert {OURS} < set(row["runs"][0]["seconds"]), row["row"]
    table = list(misses.lines(results))
    assert table[0].startswith("| row |")


def test_a_row_runs_from_the_command_line(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    command = [sys.executable, "-m", "benchmarks", "--rows", "W0", "--rounds", "5"]
    done = subprocess.run(
        [*command, "--seconds", "1", "--out", str(out)],
        capture_output=True,
        text=True,
        cwd=repository,
    )
    assert done.returncode in (0, 1), done.stderr
    assert "scipy.fft" in done.stdout
    (row,) = json.loads(out.read_text())["rows"]
    assert row["limit"]["binds"].endswith("bandwidth")


def test_unknown_rows_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--rows", "W7"])
    assert "some of W1, W1q" in capsys.readouterr().err
