"""Packages with a profile, through the command line: reports there and back, tampered manifests."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run

from csideploy.errors import FormatError, InputError
from csideploy.link_export import make_package
from csideploy.link_source import LinkSource
from csideploy.package import open_package
from csideploy.payload import Layout
from csideploy.profiles.described import describe
from csideploy.profiles.report_file import reports_of

from .conftest import DATA, WANTED


def test_the_manifest_says_what_both_ends_need(profiled: Path) -> None:
    manifest = open_package(profiled).manifest
    profile = manifest["profile"]
    assert profile["status"].startswith("reported agreements (RAN1#124bis), not standard text")
    assert profile["status"].endswith("[S]")
    assert profile["layer_payload_pairs"] == [[64, 2]] * 4
    assert (profile["rank"], profile["ports"], profile["n_subbands"]) == (4, 32, None)
    assert profile["sq_codebook"] == [1 / 8, 3 / 8, 5 / 8, 7 / 8]
    assert profile["dataset_sha256"] == DATA["sha256"]
    assert profile["perf_target_sgcs"] == {"1": 0.61}
    assert "angular-delay" in profile["target_csi_domain"]
    for side, key in (("ue", "encoder_onnx_sha256"), ("bs", "decoder_onnx_sha256")):
        data = (profiled / f"{side}.onnx").read_bytes()
        assert profile[key] == hashlib.sha256(data).hexdigest()
    assert profile["pairing_id"] == manifest["pairing_id"]


def test_the_fourth_layer_has_fewer_pairs() -> None:
    """{128, 2} is not among those of layer 4, and one encoder codes all layers."""
    own = describe(
        Layout.uniform(128, 2),
        pairing_id="00",
        provenance={},
        metrics={},
        encoder_sha256="a",
        decoder_sha256="b",
    )
    assert own["layer_payload_pairs"] == [[128, 2]] * 3
    assert (own["dataset_sha256"], own["perf_target_sgcs"]) == (None, None)
    assert own["dataset"].startswith("unknown")


def test_what_a_card_says_wrongly_is_left_out() -> None:
    """Nobody checks a card's words, and a package must not refuse itself."""
    own = describe(
        Layout.uniform(64, 2),
        pairing_id="00",
        provenance={"card": {"data": {"sha256": "none"}}},
        metrics={"sgcs": float("nan")},
        encoder_sha256="a",
        decoder_sha256="b",
    )
    assert (own["dataset_sha256"], own["perf_target_sgcs"]) == (None, None)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_layers_become_reports_and_come_back(
    rank: int, profiled: Path, layers_file: Path, tmp_path: Path, run: Run
) -> None:
    names = ("plain", "reports", "raw", "plain.npy", "reports.npy", "raw.npy")
    plain, reports, raw, *made = (tmp_path / name for name in names)
    assert run("encode", profiled, layers_file, "--out", plain).exit_code == 0
    more = ("--rank", rank, "--json")
    result = run("encode", profiled, layers_file, "--out", reports, *more)
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)["report"]
    assert (shown["reports"], shown["part1_bits"], shown["part2_bits"]) == (
        *(500 // rank, 6, 128 * rank),
    )
    # The file has the layers of each report in falling energy.
    assert shown["not_strongest_first"] == 0
    data = reports.read_bytes()
    assert len(data) == 32 + 500 // rank * (1 + 16 * rank)
    assert int.from_bytes(data[6:8], "little") == 0x1000 + 16 * rank + 2
    # Part 1 is RI and a CQI of 0; part 2 the samples' payloads one after another.
    records = np.frombuffer(data[32:], np.uint8).reshape(-1, 1 + 16 * rank)
    assert (records[:, 0] == (rank - 1) << 6).all()
    assert records[:, 1:].tobytes() == plain.read_bytes()[32:]

    assert run("encode", profiled, layers_file, "--out", raw, "--raw", *more).exit_code == 0
    assert raw.read_bytes() == data[32:]
    for file, out, options in (
        (plain, made[0], ()),
        (reports, made[1], ("--reference", layers_file)),
        (raw, made[2], ("--raw", "--rank", rank)),
    ):
        result = run("decode", profiled, file, "--out", out, *options, "--json")
        assert result.exit_code == 0, result.output
        np.testing.assert_array_equal(np.load(out), np.load(made[0]))
    assert json.loads(result.stdout)["report"]["rank"] == rank


def test_validate_and_report(profiled: Path, run: Run) -> None:
    assert run("validate", profiled).exit_code == 0
    result = run("report", profiled, "--rounds", 1)
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "reported agreements (RAN1#124bis), not standard text" in text
    # 512 + 6 bits, with 11 check bits of part 2.
    assert "518 in all, 529 with check bits [M]" in text
    shown = json.loads(run("report", profiled, "--rounds", 1, "--json").stdout)
    exchange = shown["profile"]["exchange"]
    ue = shown["sides"]["ue"]
    assert exchange["3a"]["onnx_bits"] == 8 * (profiled / "ue.onnx").stat().st_size
    assert exchange["3a"]["bundle_bits"] == 8 * ue["bundle_bytes"]
    assert exchange["3a"]["float32_bits"] == 32 * ue["parameters"]
    # 400 samples of 2,048 numbers and 128 bits of feedback.
    assert exchange["4-1"]["float16_bits"] == 400 * (2048 * 16 + 128)
    assert exchange["4-1"]["samples_are"] == "of the training"
    assert f"{exchange['4-1']['float16_bits'] / 1e6:.2f} Mbit as float16" in text
    assert "Exchange, option 3a (encoder's parameters) [S]" in text
    rows = " ".join(run("report", profiled, "--rounds", 1, "--format", "3gpp").stdout.split())
    assert "{64, 2}, {64, 2}, {64, 2}, {64, 2}, r20-case0: reported agreements" in rows


def test_files_that_are_inlined_or_not_there(profile_source: LinkSource, tmp_path: Path) -> None:
    """The hashes are those of the files that the package has."""
    folder = tmp_path / "inlined"
    make_package(profile_source, replace(WANTED, inline=True), folder)
    assert open_package(folder).manifest["profile"]["encoder_onnx_sha256"]
    bare = tmp_path / "bare"
    made = make_package(profile_source, replace(WANTED, emit=frozenset({"bundle"})), bare)
    ours = hashlib.sha256(profile_source.ue).hexdigest()
    assert made["profile"]["encoder_onnx_sha256"] == ours
    assert open_package(bare).manifest["profile"]["encoder_onnx_sha256"] == ours


def test_export_by_the_command_line(
    profile_source: LinkSource, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from csideploy.zoo import write_entry

    card = {
        **{"system": "csinet", "cr": 32, "bits": 2, "binarize": "none", "data": DATA},
        **{"metrics": {"sgcs": 0.61}, "command": "none: a test"},
    }
    write_entry(tmp_path / "zoo", card, ue=profile_source.ue, bs=profile_source.bs)
    monkeypatch.setenv("CSIDEPLOY_ZOO", str(tmp_path / "zoo"))
    out = tmp_path / "P"
    sizes = ("--cr", 32, "--bits", 2, "--profile", "r20-case0")
    result = run("export", "--model", "csinet", *sizes, "--out", out)
    assert result.exit_code == 0, result.output
    assert "reported agreements (RAN1#124bis), not standard text" in result.stderr
    assert "{64, 2}, {64, 2}, {64, 2}, {64, 2}" in result.stderr
    assert open_package(out).manifest["profile"]["dataset_sha256"] == DATA["sha256"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("csinet", "--profile", "r21"), "--profile r21: r20-case0"),
        (("csinet", "--cr", 8, "--bits", 2, "--profile", "r20-case0"), "256 outputs of 2 bits"),
        (("csinet", "--cr", 32, "--bits", 1, "--profile", "r20-case0"), "64 outputs of 1 bits"),
        (("csinet", "--cr", 0, "--bits", 2, "--profile", "r20-case0"), "compression 1/0"),
        (("csinet", "--cr", 32, "--bits", "float", "--profile", "r20-case0"), "float features"),
        (
            ("csinet", "--cr", 32, "--bits", 2, "--quantizer", "round", "--profile", "r20-case0"),
            "the quantizer round",
        ),
        (("bacrnet1x", "--profile", "r20-case0"), "512 outputs of 4 bits"),
        (("pca-cr8", "--profile", "r20-case0"), "the quantizer codebook"),
        (("rank1-rzf", "--profile", "r20-case0"), "--profile goes with CSI feedback"),
        (("pmq", "--profile", "r20-case0"), "--profile goes with other systems"),
        (("rvq-egat", "--profile", "r20-case0"), "--profile goes with other systems"),
    ],
)
def test_exports_that_are_refused(
    options: tuple[object, ...], says: str, tmp_path: Path, run: Run
) -> None:
    result = run("export", "--model", *options, "--out", tmp_path / "P")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert says in line
    assert not list(tmp_path.iterdir())


def test_ranks_that_are_refused(
    profiled: Path, profile_source: LinkSource, layers_file: Path, tmp_path: Path, run: Run
) -> None:
    without, out = tmp_path / "without", tmp_path / "out"
    make_package(profile_source, replace(WANTED, profile=None), without)
    encode = ("encode", profiled, layers_file, "--out", out)
    for arguments, says in (
        ((*encode, "--rank", 3), "500 samples are no whole number of reports of 3 layers"),
        ((*encode, "--rank", 5), "--rank"),
        ((*encode, "--rank", 2, "--with-scale"), "carries no scale"),
        (("encode", without, layers_file, "--out", out, "--rank", 2), "has no profile"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert says in result.stderr.splitlines()[-1]
        assert not out.exists()
    reports, plain, h = tmp_path / "reports", tmp_path / "plain", tmp_path / "h.npy"
    assert run("encode", profiled, layers_file, "--out", reports, "--rank", 2).exit_code == 0
    assert run("encode", profiled, layers_file, "--out", plain).exit_code == 0
    cut, other = tmp_path / "cut", tmp_path / "other"
    cut.write_bytes(reports.read_bytes()[:-1])
    damaged = bytearray(reports.read_bytes()[32:])
    damaged[33] ^= 0x80
    other.write_bytes(damaged)
    for arguments, says in (
        (("decode", profiled, reports, "--rank", 1), "has reports of rank 2"),
        (("decode", profiled, plain, "--rank", 1), "has samples, no reports"),
        (("decode", without, reports), "does not take: --rank"),
        (("decode", profiled, cut), "truncated"),
        (("decode", profiled, other, "--raw", "--rank", 2), "report 1 says rank 4"),
        (("decode", profiled, reports, "--raw", "--rank", 2), "bytes a report"),
    ):
        result = run(*arguments, "--out", h)
        assert result.exit_code == 2, arguments
        assert says in result.stderr.splitlines()[-1]
        assert not h.exists()


def test_layers_in_another_order_are_told(
    profiled: Path, layers_file: Path, tmp_path: Path, run: Run
) -> None:
    with np.load(layers_file) as archive:
        np.savez(tmp_path / "rising.npz", H=archive["H"][::-1])
    result = run("encode", profiled, tmp_path / "rising.npz", "--rank", 4, "--out", tmp_path / "p")
    assert result.exit_code == 0, result.output
    assert "125 of them have a layer with more energy" in result.stderr
    # 6 + 512 bits are 65 bytes.
    assert "p: 125 reports of rank 4 (65 bytes), 8,157 bytes in all" in result.stderr
    assert "500 samples of 128 bits are their layers" in result.stderr


def test_a_raw_payload_is_taken_for_what_it_is_called(
    profiled: Path, layers_file: Path, tmp_path: Path, run: Run
) -> None:
    """16 reports of rank 1 are 272 bytes, and so are 17 samples."""
    with np.load(layers_file) as archive:
        np.savez(tmp_path / "16.npz", H=archive["H"][:16])
    file, h = tmp_path / "r", tmp_path / "h.npy"
    done = run("encode", profiled, tmp_path / "16.npz", "--rank", 1, "--raw", "--out", file)
    assert done.exit_code == 0, done.output
    taken = run("decode", profiled, file, "--raw", "--out", h)
    assert taken.exit_code == 0, taken.output
    assert "r: taken for 17 samples of 16 bytes; --rank takes it for reports" in taken.stderr
    told = run("decode", profiled, file, "--raw", "--rank", 1, "--out", h)
    assert "taken for" not in told.stderr
    assert np.load(h).shape == (16, 32, 32)


Change = Callable[[dict[str, Any]], object]


def unmeasured(target: object) -> Change:
    """A target in a package whose weights say no figure."""
    return lambda m: (m.update(metrics={}), m["profile"].update(perf_target_sgcs=target))


TAMPERED: dict[str, tuple[Change, str]] = {
    "no object": (lambda m: m.update(profile=[1]), "not of r20-case0"),
    "release": (lambda m: m["profile"].update(release="r21"), "not of r20-case0"),
    "pairing id": (lambda m: m["profile"].update(pairing_id="0" * 32), "pairing_id"),
    "pairs": (lambda m: m["profile"].update(layer_payload_pairs=[[32, 2]] * 4), "[[64, 2]"),
    "pairs of floats": (
        lambda m: m["profile"].update(layer_payload_pairs=[[64.0, 2]] * 4),
        "layer_payload_pairs",
    ),
    "rank": (lambda m: m["profile"].update(rank=3), "rank is 3, and 4"),
    "rank is true": (lambda m: m["profile"].update(rank=True), "rank is True"),
    "codebook": (lambda m: m["profile"].update(sq_codebook=[0.25, 0.75]), "sq_codebook"),
    "order": (lambda m: m["profile"].update(bit_order="lsb-first"), "bit_order"),
    "encoder": (lambda m: m["profile"].update(encoder_onnx_sha256="0" * 64), "encoder_onnx"),
    "decoder": (lambda m: m["profile"].pop("decoder_onnx_sha256"), "decoder_onnx_sha256"),
    "encoder without a file": (
        lambda m: (m["files"].pop("ue.onnx"), m["profile"].update(encoder_onnx_sha256="x")),
        "64 hexadecimal digits",
    ),
    "dataset": (lambda m: m["profile"].update(dataset_sha256="XY"), "dataset_sha256"),
    "no dataset": (lambda m: m["profile"].pop("dataset_sha256"), "lacks dataset_sha256"),
    "another dataset": (
        lambda m: m["profile"].update(dataset_sha256="cd" * 32),
        f"and '{'ab' * 32}' by the rest",
    ),
    "a dataset that nobody names": (lambda m: m["profile"].update(dataset=None), "dataset is None"),
    "reading": (lambda m: m["profile"].update(reading=["{32, 2}"]), "reading is"),
    "one key more": (lambda m: m["profile"].update(scope="all"), "has 'scope', which is none of"),
    "two keys fewer": (
        lambda m: (m["profile"].pop("reading"), m["profile"].pop("n_subbands")),
        "lacks reading; lacks n_subbands",
    ),
    "status": (lambda m: m["profile"].update(status=None), "status"),
    "domain": (lambda m: m["profile"].update(target_csi_domain=2), "target_csi_domain"),
    "ports": (lambda m: m["profile"].update(ports=64), "ports is 64, and 32 by"),
    "bands": (lambda m: m["profile"].update(n_subbands=20), "1 to 19"),
    "target": (
        lambda m: m["profile"].update(perf_target_sgcs={"1": 0.9}),
        "{'1': 0.9}, and {'1': 0.61} by the rest",
    ),
    "no target": (lambda m: m["profile"].update(perf_target_sgcs=None), "is None, and {'1': 0.61}"),
    **{
        f"unmeasured target {target}": (unmeasured(target), "layer: 0")
        for target in ({"1": 1.5}, {"5": 0.5}, 0.5)
    },
    "fields": (lambda m: m["profile"].update(report_fields={"ri_bits": 2}), "report_fields"),
    "field": (lambda m: m["profile"]["report_fields"].update(cqi_bits=99), "report_fields"),
    "field of floats": (lambda m: m["profile"]["report_fields"].update(cqi_bits=4.0), "cqi_bits"),
    "field that holds no rank": (
        lambda m: m["profile"]["report_fields"].update(ri_bits=1),
        "hold the rank",
    ),
    "another payload": (
        lambda m: m.update(payload=Layout.uniform(64, 1).figures()),
        "profile and payload contradict each other",
    ),
    "another quantizer": (lambda m: m.update(quantizer="round"), "contradict"),
    "a codebook": (
        lambda m: m.update(payload=Layout.codebook([2] * 64, 2).figures()),
        "widths of their own",
    ),
    "floats": (lambda m: m.update(payload=None), "goes with one payload"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampered_manifests_are_refused(name: str, profiled: Path, tmp_path: Path) -> None:
    change, says = TAMPERED[name]
    manifest = json.loads((profiled / "manifest.json").read_text())
    change(manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError) as caught:
        open_package(tmp_path)
    assert says in str(caught.value)
    assert str(tmp_path / "manifest.json") in str(caught.value)


def test_an_older_package_opens_as_before(profiled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "older"
    shutil.copytree(profiled, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    # What the weights do not say is free.
    silent = {**manifest, "metrics": {}, "provenance": {"source": "elsewhere"}}
    silent["profile"] = {**manifest["profile"], "perf_target_sgcs": {"1": 0.9, "2": 0.8}}
    (folder / "manifest.json").write_text(json.dumps(silent))
    assert open_package(folder).manifest["profile"]["perf_target_sgcs"]["2"] == 0.8
    del manifest["profile"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    link = open_package(folder)
    assert link.layout_of(None).payload_bits == 128
    with pytest.raises(InputError, match="has no profile"):
        reports_of(link, 1)
