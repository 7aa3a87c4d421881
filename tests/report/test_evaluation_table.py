"""Rows of 3GPP's evaluation table: their order, empty cells, numbers of the JSON, tags, gains."""

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Run

from csideploy.package import LinkPackage, open_package
from csideploy.report import evaluation_words as words
from csideploy.report import footprint, render
from csideploy.report.evaluation_gains import BINS, compare
from csideploy.report.evaluation_table import fill
from csideploy.report.evaluation_text import as_rows, markdown
from csideploy.report.network_count import NOTE

ROWS = (
    *(f"CSI generation part: {row}" for row in (
        *("AI/ML model backbone", "Pre-processing", "Post-processing", "FLOPs/M"),
        *("Number of parameters/M", "[Storage /Mbytes]"),
    )),
    *(f"CSI reconstruction part: {row}" for row in (
        *("AI/ML model backbone", "[Pre-processing]", "[Post-processing]", "FLOPs/M"),
        *("Number of parameters/M", "[Storage /Mbytes]"),
    )),
    *(f"Common description: {row}" for row in (
        *("Input type", "Output type", "Quantization/dequantization method"),
        "Rank/layer adaptation settings for rank>1",
    )),
    *(f"Dataset description: {row}" for row in (
        *("Train/k", "Test/k"),
        "Ground-truth CSI quantization method (incl. scalar/codebook based, parameters)",
        "Overhead reduction compared to Float32 if high-resolution quantization of ground-truth "
        "CSI is applied",
    )),
    "[Other assumptions/settings agreed to be reported]: ",
    "Benchmark: Type of legacy codebook (e.g. Rel-16 eType II, paramCombination)",
    *(f"Evaluation results: {row}: {own}" for row in (
        *("SGCS of benchmark, [layer 1]", "Gain for SGCS, [layer 1]"),
        *("NMSE of benchmark, [layer 1]", "Gain for NMSE, [layer 1]"),
        *("Other intermediate KPI (description/value)", "Gain for other intermediate KPI"),
    ) for own in ("X (<=80 bits)", "Y (100-140 bits)", "Z (>=230 bits)")),
    *(f"Evaluation results: {row} ([specific CSI feedback overhead], {load})"
      for row in ("Gain for mean UPT", "Gain for 5% UPT")
      for load in ("RU <=39%", "RU 40-69%", "RU >=70%")),
    "Evaluation results: FTP or full buffer",
    "Evaluation results: CSI feedback reduction (%) [for a given UPT/overhead]",
    "Notes: ",
)  # fmt: skip
"""The template, spelled out once more."""


@pytest.fixture(scope="module")
def pca(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo's pca-cr8 with two bit budgets: no training, a card, and quantizers apart."""
    folder = tmp_path_factory.mktemp("rows") / "pca"
    result = run("export", "--model", "pca-cr8", "--bits", "2,3", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def measured(pca: Path) -> tuple[dict[str, Any], LinkPackage]:
    link = open_package(pca)
    return footprint.report(link, rounds=1), link


def cells(table: dict[str, Any]) -> dict[str, Any]:
    return {f"{row['part']}: {row['row']}": row["value"] for row in table["rows"]}


def test_rows_stand_in_order_and_hold_what_is_known(
    measured: tuple[dict[str, Any], LinkPackage],
) -> None:
    table = fill(*measured, [])
    assert [f"{row['part']}: {row['row']}" for row in table["rows"]] == list(ROWS)
    found = cells(table)
    empty = {row for row, value in found.items() if value is None}
    assert all((row in empty) == ("UPT" in row) for row in ROWS if "UPT" in row)
    assert "Evaluation results: FTP or full buffer" in empty
    assert "Benchmark: Type of legacy codebook (e.g. Rel-16 eType II, paramCombination)" in empty
    assert not {row for row in ROWS if "enchmark" in row and "Notes" not in row} - empty
    sides = measured[0]["sides"]
    for part, side in (("CSI generation part", "ue"), ("CSI reconstruction part", "bs")):
        # One run takes the quantizer of one budget, 3 bits here; all are stored.
        flops = sum(own["flops"] for own in sides[side]["layers"] if own.get("budget", 3) == 3)
        assert flops < sides[side]["flops"]
        assert found[f"{part}: FLOPs/M"] == round(flops / 1e6, 4)
        assert found[f"{part}: Number of parameters/M"] == round(sides[side]["parameters"] / 1e6, 4)
        assert found[f"{part}: [Storage /Mbytes]"] == round(sides[side]["bundle_bytes"] / 1e6, 4)
    assert found["Dataset description: Train/k"] == 100
    assert found["Dataset description: Test/k"] == 20
    quantization = found["Common description: Quantization/dequantization method"]
    assert "SQ" in quantization
    assert "768 bits" in quantization
    # Principal components are not trained, so that nothing knew of the quantizer.
    assert "Case 1 [M]" in quantization
    card = measured[1].manifest["provenance"]["card"]["metrics_per_budget"]["3"]
    kpi = found["Evaluation results: Other intermediate KPI (description/value): Z (>=230 bits)"]
    assert f"NMSE {card['nmse_db']} dB, SGCS {card['sgcs']}, rho {card['rho']} at 768 bits" in kpi


def test_the_verb_writes_markdown_csv_and_json(pca: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "rows.csv"
    command = ("report", pca, "--rounds", 1, "--format", "3gpp")
    result = run(*command, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)["3gpp"]
    head, *lines = csv.reader(io.StringIO(out.read_text()))
    assert head[2] == table["column"] == f"csideploy: {open_package(pca).name}"
    assert [(part, row) for part, row, _ in lines] == [
        (row["part"], row["row"]) for row in table["rows"]
    ]
    for (*_, cell), row in zip(lines, table["rows"], strict=True):
        assert cell == ("" if row["value"] is None else str(row["value"]))
        # What a spreadsheet would take for a formula.
        assert cell[:1] not in tuple("=+-@")

    shown = run(*command)
    assert shown.exit_code == 0, shown.output
    body, appendix = shown.stdout.split("Appendix", 1)
    marked = [line.split(" | ") for line in body.splitlines() if line.startswith("| ")]
    assert [own[1].strip() for own in marked[2:]] == [row["row"] for row in table["rows"]]
    for own, row in zip(marked[2:], table["rows"], strict=True):
        text = " | ".join(own[2:]).removesuffix("|").strip().replace("\\|", "|")
        assert text == ("" if row["value"] is None else str(row["value"]))
    for said in ("from memory [M]", "verify against TR 38.843 6.2.2", "[S]: from a secondary"):
        assert said in body
    assert "FLOPs = 2 x MACs + element-wise" in body
    for own in table["appendix"]:
        assert f"| {own['figure']} |" in appendix
    # MACs and float32 storage are told, but not in the template's rows.
    assert f"| {table['appendix'][0]['ue']:,} |" in appendix
    assert not any("MACs" in row["row"] for row in table["rows"])


def test_a_network_counts_the_same_at_every_precision(
    pca: Path, measured: tuple[dict[str, Any], LinkPackage], tmp_path: Path, run: Run
) -> None:
    """`auto` runs its layers twice: executed operations grow, those of the network do not."""
    out = tmp_path / "auto"
    options = ("--bits", "2,3", "--precision", "auto", "--emit", "bundle")
    result = run("export", "--model", "pca-cr8", *options, "--out", out)
    assert result.exit_code == 0, result.output
    link = open_package(out)
    integers, plain = footprint.report(link, rounds=1), measured[0]
    assert integers["papers_count"] == plain["papers_count"] is not None
    for side, data in integers["sides"].items():
        assert any(layer["name"].endswith(".rest") for layer in data["layers"])
        assert data["macs"] == 2 * plain["sides"][side]["macs"]
        for key in ("macs", "flops", "parameters"):
            assert data[f"network_{key}"] == plain["sides"][side][key]
            assert data[f"network_{key}"] < data[key]
    rows = {row[0]: row[1:] for row in render.summary_rows(integers)}
    assert rows["MACs of the network"] == ["524,288"] * 2
    assert rows["MACs"] == ["1,048,576"] * 2
    assert not any("of the network" in row[0] for row in render.summary_rows(plain))
    assert NOTE in integers["notes"]
    assert NOTE not in plain["notes"]

    before, after = cells(fill(*measured, [])), fill(integers, link, [])
    for part in ("CSI generation part", "CSI reconstruction part"):
        for row in ("FLOPs/M", "Number of parameters/M"):
            assert cells(after)[f"{part}: {row}"] == before[f"{part}: {row}"]
    figures = {row["figure"]: row["ue"] for row in after["appendix"]}
    assert (figures["MACs"], figures["MACs as executed"]) == (524_288, 1_048_576)

    # A package from before these counts says what its integers execute, and no more.
    stored = json.loads((out / "report.json").read_text())
    for data in stored["sides"].values():
        for key in ("macs", "flops", "parameters"):
            del data[f"network_{key}"]
    text = json.dumps(stored).encode()
    (out / "report.json").write_bytes(text)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["files"]["report.json"]["sha256"] = hashlib.sha256(text).hexdigest()
    (out / "manifest.json").write_text(json.dumps(manifest))
    older = open_package(out)
    table = fill(footprint.report(older, rounds=1), older, [])
    assert "export again for the network's own" in cells(table)["Notes: "]


def file(*rows: dict[str, Any], channels: str = "a file") -> dict[str, Any]:
    return {"channels": channels, "rows": list(rows)}


def etype2(combination: int, bits: int, sgcs: float, **more: object) -> dict[str, Any]:
    return {
        **{"system": "etype2", "combination": combination, "payload_bits": bits},
        **{"nmse_db": None, "sgcs": sgcs - 0.05, "sgcs_subband": sgcs, "rho": 0.9},
        **more,
    }


def ours(bits: int, by_band: float, **more: object) -> dict[str, Any]:
    return {
        **{"system": "P", "payload_bits": bits, "nmse_db": -9.5, "sgcs": 0.1},
        **{"sgcs_subband": by_band, "rho": 0.95, "ue_macs": 1000},
        **more,
    }


def link_of(tmp_path: Path, bits: int) -> LinkPackage:
    """The manifest of a package in a folder `P`, of so many bits a sample."""
    payload = {"count": bits // 2, "bits": 2, "layout_id": 0x0102}
    payload |= {"bits_per_sample": bits, "bytes_per_sample": -(-bits // 8)}
    return LinkPackage(tmp_path / "P", {"payload": payload, "bits": 2, "provenance": {}})


def test_gains_within_a_bin(tmp_path: Path) -> None:
    """Computed by hand: 0.9 / 0.8 - 1 = 12.5 %; the best row of the bin is the benchmark."""
    one = file(etype2(3, 109, 0.8), etype2(2, 139, 0.7), etype2(1, 62, 0.6), ours(128, 0.9))
    found = dict(zip("XYZ", compare(link_of(tmp_path, 128), [one], ue_macs=1000), strict=True))
    assert found["Y"]["combination"] == 3
    assert found["Y"]["sgcs_gain_percent"] == 12.5
    assert (found["Y"]["sgcs_of"], found["Y"]["nmse_gain_db"]) == ("sgcs_subband", None)
    # A benchmark alone has no gain, a bin without rows nothing.
    assert (found["X"]["benchmark_sgcs"], found["X"]["sgcs_gain_percent"]) == (0.6, None)
    assert (found["Z"]["benchmark_sgcs"], found["Z"]["bits"]) == (None, None)


@pytest.mark.parametrize(
    ("bits", "combination", "gain"),
    # 0.9 x 256 = 230.4 bits: combination 7 has 243. 0.9 x 768 is more than any has.
    [(256, 7, 12.5), (768, 7, None)],
)
def test_in_the_open_bin_a_benchmark_needs_as_many_bits(
    bits: int, combination: int, gain: float | None, tmp_path: Path
) -> None:
    one = file(etype2(7, 243, 0.8), etype2(5, 230, 0.79), ours(bits, 0.9))
    found = compare(link_of(tmp_path, bits), [one], ue_macs=1000)[2]
    assert (found["combination"], found["sgcs_gain_percent"]) == (combination, gain)
    assert found["comparable"] == (gain is not None)


@pytest.mark.parametrize(
    "row",
    [
        ours(128, 0.9, system="Q"),
        ours(126, 0.9),
        # Another network of the same name.
        ours(128, 0.9, ue_macs=1001),
    ],
)
def test_rows_of_another_network_are_not_ours(row: dict[str, Any], tmp_path: Path) -> None:
    found = compare(link_of(tmp_path, 128), [file(etype2(3, 109, 0.8), row)], ue_macs=1000)[1]
    # Nor is a benchmark taken from channels that this network never saw.
    assert {key: found[key] for key in ("bits", "sgcs_gain_percent", "benchmark_bits")} == (
        dict.fromkeys(("bits", "sgcs_gain_percent", "benchmark_bits"))
    )


def test_units_are_the_same_and_files_are_not_mixed(tmp_path: Path) -> None:
    link = link_of(tmp_path, 128)
    plain = ours(128, 0.9, sgcs=0.6, sgcs_subband=None)
    found = compare(link, [file(etype2(3, 109, 0.85), plain)], ue_macs=1000)[1]
    # 0.6 against 0.85 - 0.05, by subcarrier.
    assert (found["sgcs_of"], found["sgcs_gain_percent"]) == ("sgcs", -25.0)
    apart = [file(etype2(3, 109, 0.8)), file(ours(128, 0.9))]
    found = compare(link, apart, ue_macs=1000)[1]
    assert found["sgcs_gain_percent"] is None
    second = file(etype2(3, 109, 0.75), ours(128, 0.9))
    found = compare(link, [*apart, second], ue_macs=1000)[1]
    assert found["sgcs_gain_percent"] == 20.0
    # A report of two layers is no benchmark of layer 1.
    two = [file(etype2(3, 109, 0.8, rank=2), ours(128, 0.9))]
    assert compare(link, two, ue_macs=1000)[1]["benchmark"] is None


def test_floats_have_no_quantizer(tmp_path: Path) -> None:
    link = LinkPackage(tmp_path, {"payload": None, "bits": None})
    for text in (words.quantization(link), words.sent(link)):
        assert text == "none: floats are fed back"
    assert words.received(link) == "none"
    assert [one["bits"] for one in compare(link, [], ue_macs=1)] == [None] * 3


@pytest.mark.parametrize(
    ("quantizer", "feature", "case"),
    [
        ("uniform", "quantized", "Case 2-1 [M]"),
        ("uniform", None, "Case 2-1 [M]"),
        ("uniform", "float", "Case 1 [M]"),
        ("codebook", "quantized", "Case 2-2 [M]"),
        ("codebook", "float", "Case 1 [M]"),
        ("vector", "quantized", "Case 2-2 [M]"),
    ],
)
def test_what_training_knew(quantizer: str, feature: str | None, case: str, tmp_path: Path) -> None:
    """By the last stage of the recipe; cards older than its key were trained through it."""
    link = link_of(tmp_path, 128)
    stages = [{"feature": "float"}, {} if feature is None else {"feature": feature}]
    link.manifest.update(
        system="csinet",
        quantizer=quantizer,
        provenance={"card": {"recipe": {"stages": stages}}},
    )
    text = words.quantization(link)
    assert case in text
    assert text.startswith("VQ" if quantizer == "vector" else "SQ")


def test_bins() -> None:
    inside = {own.name: [b for b in (1, 80, 81, 99, 100, 140, 141, 229, 230, 9999) if b in own]
              for own in BINS}  # fmt: skip
    assert inside == {"X": [1, 80], "Y": [100, 140], "Z": [230, 9999]}
    assert 100.5 not in BINS[1]


def test_quality_files_reach_the_rows(pca: Path, tmp_path: Path, run: Run) -> None:
    macs = footprint.of_bundles(
        [(pca / "ue.csib").read_bytes(), (pca / "ue-quantizer-3.csib").read_bytes()]
    )["sides"]["ue"]["macs"]
    row = ours(512, 0.91, system="pca", ue_macs=macs, samples=1500)
    (tmp_path / "q.json").write_text(
        json.dumps(file(etype2(8, 500, 0.8), etype2(3, 111, 0.7), row, channels="test channels"))
    )
    options = ("--format", "3gpp", "--rounds", 1, "--quality", tmp_path / "q.json", "--json")
    result = run("report", pca, *options)
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)["3gpp"]
    found = cells(table)
    results = "Evaluation results: "
    assert found[f"{results}SGCS of benchmark, [layer 1]: Y (100-140 bits)"] == (
        "0.7 (paramCombination 3, 111 bits)"
    )
    assert found[f"{results}Gain for SGCS, [layer 1]: Z (>=230 bits)"] == (
        "gain 13.75 % (0.91 at 512 bits against 500)"
    )
    assert "paramCombination 3 (Y), 8 (Z)" in found[ROWS[21]]
    assert found[f"{results}NMSE of benchmark, [layer 1]: Z (>=230 bits)"] is None
    assert "quality: test channels" in found["Notes: "]
    assert "has no NMSE" in found["Notes: "]
    assert "halves of an array" in found["Notes: "]
    # The figures are the file's, and so is what they were measured on.
    assert found["Dataset description: Test/k"] == 1.5
    other = found["[Other assumptions/settings agreed to be reported]: "]
    assert other.startswith("trained on generated indoor channels")
    assert other.endswith("tested on test channels")


def test_a_file_for_one_budget_leaves_the_card_the_other(
    measured: tuple[dict[str, Any], LinkPackage],
) -> None:
    result, link = measured
    macs = result["sides"]["ue"]["macs"]
    first, second = (
        ours(bits, 0.9, system="pca", ue_macs=macs, samples=bits) for bits in (512, 768)
    )
    found = cells(fill(result, link, [file(first)]))
    assert found["Dataset description: Test/k"] == 0.512
    # 768 bits in the second file: Z takes what the first has.
    found = cells(fill(result, link, [file(first), file(second)]))
    assert found["Dataset description: Test/k"] == 0.512
    apart = [{"bits": 64, "channels": "a", "samples": 100}]
    apart += [{"bits": 512, "channels": "b", "samples": 2000}]
    assert words.tested_on(link, apart) == "0.1 (a); 2 (b)"
    kpi = cells(fill(result, link, []))[ROWS[36]]
    assert "card of the weights, 20,000 samples, generated indoor channels, seed" in kpi


def test_channels_of_a_panel_give_no_benchmark(pca: Path, tmp_path: Path, run: Run) -> None:
    """They are no channels that this package was measured on."""
    out = tmp_path / "panel.json"
    done = run("evaluate", "etype2,pca-ports", "--channel", "umi-panel", "--samples", 60,
               "--out", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    options = ("--format", "3gpp", "--rounds", 1, "--quality", out, "--json")
    result = run("report", pca, *options)
    assert result.exit_code == 0, result.output
    found = cells(json.loads(result.stdout)["3gpp"])
    assert not [row for row in ROWS[21:34] if found[row] is not None]
    assert "rank 1: no row of this package, so that no benchmark" in found["Notes: "]
    assert "halves" not in found["Notes: "]
    # The figures are the card's.
    assert found["Dataset description: Test/k"] == 20


def test_no_cell_is_a_formula(measured: tuple[dict[str, Any], LinkPackage], tmp_path: Path) -> None:
    """A system's name comes from a manifest that others wrote."""
    result, link = measured
    named = LinkPackage(link.path, {**link.manifest, "system": "=1+1\n|"})
    lines = list(csv.reader(io.StringIO(as_rows(fill(result, named, [])))))
    assert lines[1][2] == "'=1+1\n|"
    text = markdown(fill(result, named, []))
    assert "| CSI generation part | AI/ML model backbone | =1+1 \\| |" in text.splitlines()


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (("rank1-rzf", "--users", 2, "--bits", 3, "--set", "antennas=4"), "precoder"),
        (("vq", "--users", 1, "--bits", 2, "--set", "rus=1", "--set", "antennas=2"), "fronthaul"),
        (("rvq-egat",), "transceiver"),
    ],
)
def test_other_kinds_of_packages_are_refused(
    model: tuple[object, ...], kind: str, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "P"
    result = run("export", "--model", *model, "--emit", "bundle", "--out", out)
    assert result.exit_code == 0, result.output
    result = run("report", out, "--format", "3gpp")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"is a {kind} package, and the template is for CSI feedback" in line
    assert result.stdout == ""


def test_a_package_that_knows_nothing_of_its_weights(pca: Path, tmp_path: Path, run: Run) -> None:
    """Cells are empty rather than guessed."""
    folder = tmp_path / "bare"
    shutil.copytree(pca, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"system": "mine", "provenance": {"source": "elsewhere"}, "metrics": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    result = run("report", folder, "--format", "3gpp", "--rounds", 1, "--json")
    assert result.exit_code == 0, result.output
    found = cells(json.loads(result.stdout)["3gpp"])
    for row in ("Train/k", "Test/k", ROWS[18].removeprefix("Dataset description: ")):
        assert found[f"Dataset description: {row}"] is None
    assert found["[Other assumptions/settings agreed to be reported]: "] is None
    assert found["CSI generation part: AI/ML model backbone"] == "mine"
    assert "training awareness not recorded" in found[ROWS[14]]
    assert found[f"{ROWS[36]}"] is None
