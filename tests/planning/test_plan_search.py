"""The search over result lines of its own test set, so that the zoo's figures are not in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from csideploy import registry
from csideploy.cli import app
from csideploy.planning.footprints import Footprints

TEST = {"scenario": "toy", "samples": 500, "seed": 3, "sha256": "c" * 64}
TRAIN = {"samples": 9, "epochs": 1, "recipe": "zoo-cpu", "seed": 0, "data_sha256": "d" * 64}
WIDE = 10


def line(
    system: str, nmse_db: float, *, cr: int = 4, bits: int = 4, binarize: str = "both", **more: Any
) -> dict[str, Any]:
    """A measured network that is still to be trained, unless `more` says otherwise."""
    own = {
        "system": system,
        "cr": cr,
        "bits": bits,
        "binarize": binarize,
        "nmse_db": nmse_db,
        "sgcs": 1 - 10 ** (nmse_db / 10),
        "test": TEST,
        "train": TRAIN,
        "checkpoint": None,
        "command": f"csideploy train {system} --cr {cr} --out runs/{system}-{cr}-{bits}",
    }
    return own | more


LINES = [
    line("bacrnet1x", -16.0),
    line("bacrnet10x", -18.0),
    line("bacrnet1x", -12.0, cr=8),
    line("bacrnet1x", -13.0, bits=2),
    line("bacrnet1x", -17.0, binarize="encoder"),
    line("csinet", -11.0, binarize="none"),
    line("csinet", -10.5, binarize="none", bits=5),
]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "toy.jsonl"
    path.write_text("".join(json.dumps(own) + "\n" for own in LINES))
    return path


def plan(results: Path, *options: object, code: int = 0) -> dict[str, Any]:
    arguments = ["plan", "--json", "--test", "cccc", "--results", results, *options]
    result = CliRunner().invoke(app, [str(own) for own in arguments])
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def memory(system: str, side: str, cr: int = 4, bits: int = 4, binarize: str = "both") -> int:
    link = Footprints.load().of_system(registry.get(system), cr, bits, binarize)
    assert link is not None
    return link[side].memory_bytes


def test_the_best_within_the_limits_is_chosen(results: Path) -> None:
    found = plan(results, "--trainable")
    assert found["choice"]["name"] == "bacrnet10x-both fp32"
    assert found["measured"] == len(LINES)
    limit = memory("bacrnet10x", "bs") - 1
    found = plan(results, "--trainable", "--bs-memory", limit)
    # The float decoder of bacrnet1x is larger still.
    assert found["choice"]["name"] == "bacrnet1x-both fp32"
    assert found["choice"]["commands"] == [
        "csideploy train bacrnet1x --cr 4 --out runs/bacrnet1x-4-4",
        "csideploy export --checkpoint runs/bacrnet1x-4-4 --out bacrnet1x-both",
    ]
    assert found["choice"]["figures"]["bs_memory"] == memory("bacrnet1x", "bs")
    found = plan(results, "--trainable", "--bs-memory", limit + 1)
    assert found["choice"]["name"] == "bacrnet10x-both fp32"


def test_why_the_neighbours_lost(results: Path) -> None:
    limit = memory("bacrnet10x", "bs") - 1
    found = plan(results, "--trainable", "--bs-memory", limit, "--max-bits", 2048)
    rows = {(row["axis"], row["name"]): row for row in found["neighbours"]}
    wide = rows["width", "bacrnet10x-both fp32"]
    assert wide["broken"] == [f"BS memory {limit + 1:,} B is 1 B above --bs-memory {limit}"]
    widest = next(row for row in found["neighbours"] if row["axis"] == "widest")
    assert widest["name"] == "bacrnet9x-both fp32"
    assert widest["why"] == "not measured; it would fit"
    assert rows["eta", "bacrnet1x-cr8-both fp32"]["why"] == "4.000 dB worse"
    assert rows["B", "bacrnet1x-b2-both fp32"]["why"] == "3.000 dB worse"
    more_bits = rows["B", "bacrnet1x-b5-both fp32"]
    assert more_bits["why"] == (
        "payload 2,560 bits is 512 bits above --max-bits 2048; not measured"
    )
    assert more_bits["figures"]["bs_memory"] == memory("bacrnet1x", "bs", bits=5)
    assert rows["precision", "bacrnet1x-both int8"]["why"] == "not measured"
    float_decoder = rows["binarize", "bacrnet1x fp32"]
    assert "above --bs-memory" in float_decoder["why"]
    assert rows["binarize", "acrnet1x fp32"]["measured"] is False
    better = [row["name"] for row in found["more_accurate"]]
    assert better == ["bacrnet10x-both fp32", "bacrnet1x fp32"]


def test_the_front_holds_what_nothing_beats(results: Path) -> None:
    found = plan(results, "--trainable")
    names = [row["name"] for row in found["front"]]
    # csinet's float layers lose in everything against bacrnet1x but its decoder's operations.
    assert names[0] == "bacrnet10x-both fp32"
    assert "csinet-b5 fp32" not in names
    for row in found["front"]:
        beaten = [
            other["name"]
            for other in found["front"]
            if other is not row
            and all(
                other["figures"][key] <= value
                for key, value in row["figures"].items()
                if key != "sgcs"
            )
        ]
        assert not beaten
    everything = plan(results, "--trainable", "--all", "--max-bits", 1024)
    assert len(everything["front"]) == len(LINES)
    assert {row["name"] for row in everything["front"] if not row["broken"]} == {
        "bacrnet1x-cr8-both fp32",
        "bacrnet1x-b2-both fp32",
    }


def test_the_choice_is_in_the_table_though_one_to_be_trained_beats_it(results: Path) -> None:
    # Older weights of bacrnet1x-both are there; LINES has a better training without them.
    weights = results.parent / "weights.safetensors"
    weights.write_bytes(b"there")
    with results.open("a") as file:
        file.write(json.dumps(line("bacrnet1x", -9.0, checkpoint=weights.name)) + "\n")
    found = plan(results, "--bs-memory", "200kB")
    (chosen,) = [row for row in found["front"] if row["chosen"]]
    assert (chosen["name"], chosen["ready"]) == ("bacrnet1x-both fp32", True)
    assert chosen["figures"] == found["choice"]["figures"]
    names = [(row["name"], row["ready"]) for row in found["front"]]
    assert ("bacrnet1x-both fp32", False) in names
    options = ["plan", "--test", "cccc", "--results", str(results)]
    shown = CliRunner().invoke(app, options, env={"COLUMNS": "140"})
    assert shown.exit_code == 0, shown.output
    (row,) = [row for row in shown.stdout.splitlines() if row.rstrip().endswith("chosen")]
    assert "bacrnet1x-both fp32" in row
    assert "-9.00" in row


def test_all_is_called_so_though_nothing_breaks_a_limit(results: Path) -> None:
    options = ["plan", "--trainable", "--test", "cccc", "--results", str(results)]
    front = CliRunner().invoke(app, options).stdout
    everything = CliRunner().invoke(app, [*options, "--all"]).stdout
    assert "Pareto front" in front
    assert "Pareto front" not in everything
    assert "All that was measured" in everything


def test_what_was_not_asked_for_is_not_called_unmeasured(results: Path) -> None:
    found = plan(results, "--trainable", "--system", "bacrnet10x", "--precision", "fp32, int8")
    assert found["measured"] == 1
    rows = {(row["axis"], row["name"]): row for row in found["neighbours"]}
    narrow = rows["width", "bacrnet1x-both fp32"]
    assert narrow["why"] == "measured, but filtered by --system"
    assert narrow["figures"]["nmse_db"] == -16.0
    assert rows["width", "bacrnet11x-both fp32"]["why"] == "not measured; it would fit"
    assert rows["binarize", "acrnet10x fp32"]["measured"] is False


def test_without_a_zoo_only_result_files_count(
    results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CSIDEPLOY_ZOO", str(tmp_path / "absent"))
    none = CliRunner().invoke(app, ["plan", "--max-bits", "2048"])
    assert none.exit_code == 2
    (said,) = none.stderr.splitlines()
    assert f"no zoo in {tmp_path / 'absent'}" in said
    assert "--results FILE" in said
    found = plan(results, "--trainable")
    assert found["choice"]["name"] == "bacrnet10x-both fp32"
    assert "no zoo in" in found["without_zoo"]
    shown = CliRunner().invoke(app, ["plan", "--trainable", "--results", str(results)])
    assert shown.exit_code == 0, shown.output
    assert "Only --results was read: no zoo in" in shown.stdout
    (tmp_path / "absent").mkdir()
    empty = CliRunner().invoke(app, ["plan"])
    assert empty.exit_code == 2
    assert "the zoo has no cards" in empty.stderr


def test_what_is_to_be_trained_is_no_choice_unless_it_may(results: Path) -> None:
    found = plan(results, code=1)
    assert found["choice"] is None
    assert found["conflict"]["trainable_would"]
    options = ["plan", "--test", "cccc", "--results", str(results)]
    for limits in ([], ["--max-bits", "4096"]):
        (said,) = CliRunner().invoke(app, [*options, *limits]).stderr.splitlines()
        assert "nothing that was measured has its weights at hand; one" in said
        assert said.endswith("meets all limits: add --trainable")
    # Nothing to be trained meets this either: then the limit is named.
    (said,) = CliRunner().invoke(app, [*options, "--max-bits", "9"]).stderr.splitlines()
    assert "nothing measured meets --max-bits 9: the nearest is 1,024 bits" in said
    weights = results.parent / "weights.safetensors"
    weights.write_bytes(b"there")
    with results.open("a") as file:
        file.write(json.dumps(line("bacrnet1x", -9.0, checkpoint=weights.name)) + "\n")
    found = plan(results)
    assert found["choice"]["figures"]["nmse_db"] == -9.0
    (command,) = found["choice"]["commands"]
    assert command == f"csideploy export --checkpoint {weights} --out bacrnet1x-both"
    wide = next(row for row in found["neighbours"] if row["name"] == "bacrnet10x-both fp32")
    assert wide["why"] == "9.000 dB better, but to be trained: add --trainable"


def test_lines_that_say_nothing_about_an_export_are_counted(results: Path) -> None:
    stale = line("bacrnet1x", -30.0, checkpoint="bacrnet1x-both", weights={"ue.onnx": "e" * 64})
    others = [
        stale,
        line("csinet", -30.0, binarize="none", quantizer="codebook", payload_bits=1000),
        line("bacrnet1x", -30.0, precision="auto"),
        line("acrnet1x", -30.0, binarize="none", activation="lrelu"),
        line("bacrnet1x", -30.0, bits=None),
        line("bacrnet1x", -30.0, checkpoint="gone.safetensors", command="lost"),
    ]
    # The zoo's own lines have such ones too.
    before = sum(plan(results, "--trainable")["passed_over"].values())
    with results.open("a") as file:
        file.writelines(json.dumps(own) + "\n" for own in others)
    found = plan(results, "--trainable")
    assert found["choice"]["figures"]["nmse_db"] == -18.0
    assert found["measured"] == len(LINES)
    assert sum(found["passed_over"].values()) == before + len(others)


def test_of_several_trainings_the_best_counts(results: Path) -> None:
    with results.open("a") as file:
        file.write(json.dumps(line("bacrnet1x", -16.5)) + "\n")
        file.write(json.dumps(line("bacrnet1x", -15.5)) + "\n")
    found = plan(results, "--trainable", "--bs-memory", "200kB")
    assert found["measured"] == len(LINES)
    assert found["choice"]["figures"]["nmse_db"] == -16.5


def test_a_limit_that_cannot_be_met_is_named_with_the_least_there_is(results: Path) -> None:
    options = ["plan", "--trainable", "--test", "cc", "--results", str(results)]
    one = CliRunner().invoke(app, [*options, "--ue-memory", "10kB", "--max-bits", "4096"])
    assert one.exit_code == 1
    least = min(memory("bacrnet1x", "ue", cr, bits) for cr, bits in ((4, 4), (4, 2), (8, 4)))
    assert f"nothing measured meets --ue-memory 10kB: the nearest is {least:,} B" in one.stderr
    assert "--max-bits" not in one.stderr
    both = CliRunner().invoke(
        app, [*options, "--min-nmse", "-15", "--max-bits", "1024", "--ue-memory", "1MB"]
    )
    assert both.exit_code == 1
    assert "meets --max-bits 1024 and --min-nmse -15 together" in both.stderr
    assert "--min-nmse -15: the nearest is -13.000 dB (bacrnet1x-b2-both fp32)" in both.stderr
    assert "--max-bits 1024: the nearest is 2,048 bits" in both.stderr
    assert "--ue-memory" not in both.stderr


def test_latency_is_that_of_the_model_with_its_tag(results: Path) -> None:
    found = plan(results, "--trainable", "--bs-target", "neoverse-n1", "--ue-target", "cortex-m55")
    assert found["targets"]["bs"]["mark"] == "modelled"
    assert found["targets"]["ue"]["confidence"] in ("P", "C", "S", "M")
    times = {row["name"]: row["figures"]["bs_latency"] for row in found["front"]}
    # Ten times the width, nearly ten times the operations of the decoder's convolutions.
    assert times["bacrnet10x-both fp32"] > 4 * times["bacrnet1x-both fp32"]
    limit = times["bacrnet10x-both fp32"] / 2
    found = plan(results, "--trainable", "--bs-target", "neoverse-n1", "--bs-latency", f"{limit}s")
    assert found["choice"]["name"] == "bacrnet1x fp32"


def test_what_does_not_fit_the_memories_of_its_device_is_not_chosen(results: Path) -> None:
    found = plan(results, "--trainable", "--bs-target", "cortex-m4", "--system", "bacrnet1x")
    # A float decoder of 4 MB against 1 MB of flash.
    assert found["choice"]["name"] == "bacrnet1x-both fp32"
    assert [(row["name"], row["why"]) for row in found["more_accurate"]] == [
        ("bacrnet1x fp32", "BS: weights and arena do not fit the memories of cortex-m4")
    ]
    options = ["--system", "csinet", "--bs-target", "cortex-m4"]
    none = CliRunner().invoke(
        app, ["plan", "--trainable", "--test", "cc", "--results", str(results), *options]
    )
    assert none.exit_code == 1
    assert "nothing measured meets --bs-target cortex-m4: nothing fits its memories" in none.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--system", "neural-mq"), "among CSI feedback systems"),
        (("--system", "acrnet21x"), "unknown system"),
        (("--ue-latency", "1ms"), "--ue-target"),
        (("--ue-memory", "many"), "--ue-memory many: a size"),
        (("--precision", "fp16"), "--precision fp16"),
        (("--test", "ffff"), "no figures of such a test"),
        (("--scenario", "mars"), "--scenario mars"),
        (("--target", "cortex-m99"), "cortex-m99"),
        (("--results", "absent.jsonl"), "absent.jsonl"),
        (("--min-nmse", "nan"), "--min-nmse nan: a finite number"),
        (("--min-nmse", "-inf"), "--min-nmse -inf: a finite number"),
        (("--min-sgcs", "nan"), "--min-sgcs"),
        (("--ue-macs", "nan"), "--ue-macs"),
        (("--bs-macs", "inf"), "--bs-macs inf: a finite number"),
        (("--ue-memory", "nan"), "--ue-memory nan: a size"),
        (("--ue-target", "cortex-m55", "--ue-latency", "inf"), "--ue-latency inf: a time"),
    ],
)
def test_bad_use_is_one_line(options: tuple[str, ...], words: str) -> None:
    result = CliRunner().invoke(app, ["plan", *options])
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
