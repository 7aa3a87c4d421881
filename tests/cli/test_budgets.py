"""Codebooks and several bit budgets: one encoder and one decoder, a small quantizer for each."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.files import read_csi
from csideploy.link_export import make_package
from csideploy.link_source import Bits, LinkSource
from csideploy.onnx_oracle import Oracle
from csideploy.package import open_package
from csideploy.payload import pack_codes, unpack_codes
from csideploy.runtime import Part

from .conftest import WANTED, Run

BUDGETS = (2, 3, 4)


def wanted(*bits: int, **changes: object) -> object:
    return dataclasses.replace(WANTED, bits=Bits(bits, given=bool(bits)), **changes)


def test_one_encoder_and_a_small_quantizer_a_budget(
    budgets: Path, codebook_source: LinkSource
) -> None:
    manifest = json.loads((budgets / "manifest.json").read_text())
    quantizers = [f"{side}-quantizer-{b}" for side in ("bs", "ue") for b in BUDGETS]
    assert sorted(manifest["files"]) == sorted(
        [f"{stem}.{end}" for stem in ("ue", "bs", *quantizers) for end in ("onnx", "csib")]
        + ["vectors.npz", "report.html", "report.json"]
    )
    assert (manifest["bits"], manifest["quantizer"]) == (4, "codebook")
    assert [entry["bits"] for entry in manifest["budgets"]] == [2, 3, 4]
    assert manifest["payload"] == manifest["budgets"][-1]
    assert {p["file"]: p.get("budget") for p in manifest["parts"]} == {
        **{"ue": None, "bs": None},
        **{stem: int(stem[-1]) for stem in quantizers},
    }
    for stem in quantizers:
        part = Part(budgets / f"{stem}.csib")
        assert (part.part, part.side) == ("quantizer", stem[:2])
        assert part.pairing_id.hex() == manifest["pairing_id"]
        book = codebook_source.codebooks[int(stem[-1])]
        # Thresholds of 4 bytes or values of 2, a table of 4 bits an output, and the plan.
        constants = 4 * (len(book.values) - 256) if stem[:2] == "ue" else 2 * len(book.values)
        assert (budgets / f"{stem}.csib").stat().st_size < constants + 128 + 1200


def by_numpy(budgets: Path, source: LinkSource, csi: Path, budget: int) -> tuple[np.ndarray, ...]:
    """Codes, payload and CSI: the float networks by ONNX Runtime, between them NumPy."""
    x, _ = to_input(read_csi(csi).h)
    feature = Oracle(source.ue, name="ue").run(x)["feature"]
    book = source.codebooks[budget].rounded()
    codes = book.quantize(feature)
    payload = pack_codes(codes, tuple(book.widths.tolist()))
    h = Oracle(source.bs, name="bs").run(book.dequantize(codes))["h"]
    return codes, payload, from_input(h)


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_payload_of_each_budget(
    budget: int,
    budgets: Path,
    codebook_source: LinkSource,
    csi_file: Path,
    tmp_path: Path,
    run: Run,
) -> None:
    payload_file, out = tmp_path / "p.bin", tmp_path / "h.npy"
    result = run("encode", budgets, csi_file, "--bits", budget, "--out", payload_file, "--json")
    assert result.exit_code == 0, result.output
    assert f"{budget} bits a feature, of 2, 3, 4" in result.stderr
    widths = codebook_source.codebooks[budget].widths
    bits, nbytes = int(widths.sum()), -(-int(widths.sum()) // 8)
    shown = json.loads(result.stdout)
    assert (shown["bits"], shown["payload_bits"], shown["payload_bytes"]) == (budget, bits, nbytes)
    data = payload_file.read_bytes()
    assert len(data) == shown["file_bytes"] == 32 + 260 * nbytes
    assert int.from_bytes(data[6:8], "little") == 0x0200 + budget
    codes, payload, h = by_numpy(budgets, codebook_source, csi_file, budget)
    ours = np.frombuffer(data[32:], np.uint8).reshape(260, nbytes)
    # A feature within 1e-5 of a threshold may fall to either side of it in a float path.
    made = unpack_codes(ours, 256, tuple(widths.tolist()))
    assert (made != codes).mean() < 3e-4
    assert np.abs(made.astype(int) - codes).max() <= 1
    same = (ours == payload).all(axis=1)
    assert same.mean() > 0.95

    # The header says the budget.
    result = run("decode", budgets, payload_file, "--out", out, "--reference", csi_file, "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert (shown["bits"], shown["payload_bits"]) == (budget, bits)
    np.testing.assert_allclose(np.load(out)[same], h[same], atol=2e-4)


def test_the_largest_budget_is_the_default(
    budgets: Path, csi_file: Path, tmp_path: Path, run: Run
) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    assert run("encode", budgets, csi_file, "--out", files[0]).exit_code == 0
    assert run("encode", budgets, csi_file, "--bits", 4, "--out", files[1]).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_raw_payloads_and_scales(budgets: Path, csi_file: Path, tmp_path: Path, run: Run) -> None:
    encode = ("encode", budgets, csi_file, "--bits", 3, "--out")
    more: dict[str, tuple[str, ...]] = {
        **{"p": (), "raw": ("--raw",), "scaled": ("--with-scale",)},
        "rawscaled": ("--raw", "--with-scale"),
    }
    for name, options in more.items():
        result = run(*encode, tmp_path / name, *options)
        assert result.exit_code == 0, result.output
    package = open_package(budgets)
    layout = package.layout_of(3)
    scaled = layout.carrying_scale(True)
    assert (tmp_path / "p").read_bytes()[32:] == (tmp_path / "raw").read_bytes()
    assert (tmp_path / "scaled").read_bytes()[32:] == (tmp_path / "rawscaled").read_bytes()
    assert (tmp_path / "scaled").stat().st_size == 32 + 260 * -(-(layout.code_bits + 16) // 8)
    made = np.frombuffer((tmp_path / "rawscaled").read_bytes(), np.uint8).reshape(260, -1)
    text = "".join(f"{byte:08b}" for byte in made[7])
    absmax = read_csi(csi_file).absmax[7].astype(np.float16)
    assert text[layout.code_bits :][:16] == f"{absmax.view(np.uint16):016b}"
    assert scaled.nbytes == made.shape[1]
    out = tmp_path / "h.npy"
    unsaid = run("decode", budgets, tmp_path / "raw", "--raw", "--out", out)
    assert unsaid.exit_code == 2
    assert "add --bits, one of 2, 3, 4" in unsaid.stderr
    known = run("decode", budgets, tmp_path / "raw", "--raw", "--bits", 3, "--out", out)
    assert known.exit_code == 0, known.output
    result = run(
        *("decode", budgets, tmp_path / "rawscaled", "--raw", "--bits", 3, "--with-scale"),
        *("--out", tmp_path / "hs.npy"),
    )
    assert result.exit_code == 0, result.output
    scale = read_csi(csi_file).absmax.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(np.load(tmp_path / "hs.npy"), np.load(out) * scale[:, None, None])


def relabelled(data: bytes, layout_id: int) -> bytes:
    """A payload file whose header names another layout, its checksum to match."""
    import zlib

    head = data[:6] + layout_id.to_bytes(2, "little") + data[8:28]
    return head + zlib.crc32(head).to_bytes(4, "little") + data[32:]


def test_headers_of_other_budgets(budgets: Path, csi_file: Path, tmp_path: Path, run: Run) -> None:
    run("encode", budgets, csi_file, "--bits", 2, "--out", tmp_path / "p")
    data = (tmp_path / "p").read_bytes()
    for number, words in (
        (0x0203, "says 43 bytes a sample; its layout has 256 codes of 0 to 8 bits (597 in all)"),
        (0x0205, "has payload layout 0x0205, this package decodes 0x0202"),
        (0x0102, "has payload layout 0x0102"),
    ):
        (tmp_path / "q").write_bytes(relabelled(data, number))
        result = run("decode", budgets, tmp_path / "q", "--out", tmp_path / "h.npy")
        assert result.exit_code == 2
        assert words in result.stderr
    result = run("decode", budgets, tmp_path / "p", "--bits", 3, "--out", tmp_path / "h.npy")
    assert result.exit_code == 2
    assert "has 2 bits a feature" in result.stderr
    assert not (tmp_path / "h.npy").exists()
    for verb in (("encode", csi_file), ("decode", tmp_path / "p")):
        result = run(verb[0], budgets, verb[1], "--bits", 5, "--out", tmp_path / "o")
        assert result.exit_code == 2
        assert "has 2, 3, 4 bits a feature" in result.stderr


def test_one_budget_is_two_bundles(
    codebook_source: LinkSource, budgets: Path, csi_file: Path, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "P"
    result = make_package(codebook_source, wanted(3), folder)  # type: ignore[arg-type]
    assert sorted(result["files"]) == [
        *("bs.csib", "bs.onnx", "report.html", "report.json", "ue.csib", "ue.onnx", "vectors.npz")
    ]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "budgets" not in manifest
    assert manifest["payload"]["layout_id"] == 0x0203
    assert manifest["payload"]["widths"] == codebook_source.codebooks[3].widths.tolist()
    for package, name in ((folder, "one"), (budgets, "several")):
        done = run("encode", package, csi_file, "--bits", 3, "--out", tmp_path / name)
        assert done.exit_code == 0, done.output
    one, several = ((tmp_path / name).read_bytes() for name in ("one", "several"))
    assert one[32:] == several[32:]
    assert one[8:16] != several[8:16]  # two packages, two pairing ids
    done = run("decode", folder, tmp_path / "several", "--out", tmp_path / "h.npy")
    assert "was encoded by another link" in done.stderr
    done = run("validate", folder, "--reference", csi_file, "--json")
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["checks"]) == 6


def test_without_bits_it_is_the_links_own_budget(
    codebook_source: LinkSource, tmp_path: Path
) -> None:
    result = make_package(codebook_source, wanted(emit=frozenset({"onnx"})), tmp_path / "P")  # type: ignore[arg-type]
    assert [layout["bits"] for layout in result["budgets"]] == [4]


def test_validate_judges_every_budget(budgets: Path, csi_file: Path, run: Run) -> None:
    for more in ((), ("--reference", csi_file)):
        result = run("validate", budgets, "--json", *more)
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert len(found["checks"]) == 3 * 6
        for budget in BUDGETS:
            own = [c for c in found["checks"] if c["name"].endswith(f"({budget} bits)")]
            assert len(own) == 6
            figures = found["measured"]["budgets"][str(budget)]
            assert figures["ue_codes_differ"] == figures["ue_codes_differ_in_band"]
    table = run("validate", budgets)
    assert "3 bits: NMSE" in table.stdout


def test_validate_names_the_budget_that_is_wrong(
    budgets: Path, codebook_source: LinkSource, tmp_path: Path, run: Run
) -> None:
    from csideploy.export.bundle_read import read_bundle
    from csideploy.export.bundle_write import write_bundle
    from csideploy.export.plan import Op
    from csideploy.package import write_package

    folder = tmp_path / "changed"
    folder.mkdir()
    link = open_package(budgets)
    files = {name: link.read(name) for name in link.manifest["files"]}
    plan = read_bundle(files["ue-quantizer-3.csib"])
    (step,) = [s for s in plan.steps if s.op is Op.QUANTIZE_CODEBOOK]
    assert step.inputs[1] is not None
    weights = plan.weights.copy()
    place = plan.tensors[step.inputs[1]].place
    weights[place : place + 4 * 255].view("<f4")[:] += 0.5  # output 0 has all 8 bits
    changed = dataclasses.replace(plan, weights=weights)
    files["ue-quantizer-3.csib"] = write_bundle(changed)
    rest = {k: v for k, v in link.manifest.items() if k not in ("version", "files")}
    write_package(folder, rest, files)
    result = run("validate", folder, "--json")
    assert result.exit_code == 1
    failed = [c for c in json.loads(result.stdout)["checks"] if not c["holds"]]
    assert {c["name"].split("(")[-1] for c in failed} == {"3 bits)"}
    named = [c["first_diverging_layer"] for c in failed if "first_diverging_layer" in c]
    assert named
    assert named[0].startswith("payload.CodebookQuantize (QUANTIZE_CODEBOOK)")


def tampered(package: Path, tmp_path: Path, **changes: object) -> Path:
    """The package with other figures of its budget of 3 bits."""
    folder = tmp_path / "tampered"
    shutil.copytree(package, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["budgets"][1] |= changes
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bits_per_sample": 600}, "bits_per_sample is 600, and 597 by the rest"),
        ({"widths": [9] + [1] * 255}, "code 0 has 9 bits"),
        ({"widths": [-1] + [1] * 255}, "code 0 has -1 bits"),
        ({"widths": [8] * 256}, "allows 1 to 768"),
        ({"widths": [1] * 255}, "count is 256, and 255 by the rest"),
        ({"widths": [1.5] * 256}, "widths are a list of numbers"),
        ({"widths": "3" * 256}, "widths are a list of numbers"),
        ({"bits": 2}, "597 bits together; a budget of 2 bits a code allows 1 to 512"),
        ({"bits": 4}, "layout_id is 515, and 516 by the rest"),
        ({"layout_id": 0x0103}, "layout_id is 259, and 515 by the rest"),
    ],
)
def test_a_tampered_manifest(
    change: dict[str, object],
    words: str,
    budgets: Path,
    csi_file: Path,
    tmp_path: Path,
    run: Run,
) -> None:
    folder = tampered(budgets, tmp_path, **change)
    result = run("encode", folder, csi_file, "--bits", 3, "--out", tmp_path / "p")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "p").exists()


def test_widths_that_the_bundles_do_not_have(
    budgets: Path, csi_file: Path, tmp_path: Path, run: Run
) -> None:
    widths = json.loads((budgets / "manifest.json").read_text())["budgets"][1]["widths"]
    # As many bits in all: only validate looks at each of them.
    swapped = tampered(budgets, tmp_path, widths=[widths[1], widths[0], *widths[2:]])
    assert run("encode", swapped, csi_file, "--bits", 3, "--out", tmp_path / "p").exit_code == 0
    result = run("validate", swapped, "--json")
    assert result.exit_code == 1
    failed = [c["name"] for c in json.loads(result.stdout)["checks"] if not c["holds"]]
    assert failed == ["widths of the codes are the manifest's (3 bits)"]
    shutil.rmtree(swapped)
    fewer = [max(width - 1, 0) for width in widths]
    figures = {"bits_per_sample": sum(fewer), "bytes_per_sample": -(-sum(fewer) // 8)}
    folder = tampered(budgets, tmp_path, widths=fewer, **figures)
    result = run("encode", folder, csi_file, "--bits", 3, "--out", tmp_path / "q")
    assert "ue-quantizer-3.csib has the payload layout 0x0203, 75 bytes" in result.stderr


@pytest.mark.parametrize("order", [[1, 0, 2], [0], [0, 0, 2]])
def test_budgets_stand_in_ascending_order(
    order: list[int], budgets: Path, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "P"
    shutil.copytree(budgets, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["budgets"] = [manifest["budgets"][i] for i in order]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    result = run("report", folder)
    assert result.exit_code == 2
    assert "no valid 'budgets'" in result.stderr


def test_a_quantizer_of_another_link(
    codebook_source: LinkSource, budgets: Path, csi_file: Path, tmp_path: Path, run: Run
) -> None:
    books = {**codebook_source.codebooks}
    moved = dataclasses.replace(books[2], values=books[2].values + np.float32(0.25))
    other = dataclasses.replace(codebook_source, codebooks={**books, 2: moved})
    make_package(other, wanted(*BUDGETS), tmp_path / "other")  # type: ignore[arg-type]
    folder = tmp_path / "P"
    shutil.copytree(budgets, folder)
    shutil.copy(tmp_path / "other" / "ue-quantizer-3.csib", folder)
    result = run("encode", folder, csi_file, "--bits", 3, "--out", tmp_path / "p")
    assert result.exit_code == 2
    assert "ue-quantizer-3.csib belongs to another link" in result.stderr


def test_inlined_onnx_computes_the_same(
    codebook_source: LinkSource, budgets: Path, csi_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "inlined"
    make_package(
        codebook_source,
        wanted(2, 3, 4, inline=True, emit=frozenset({"onnx"})),  # type: ignore[arg-type]
        folder,
    )
    assert open_package(folder).pairing_id == open_package(budgets).pairing_id
    x, _ = to_input(read_csi(csi_file).h[:20])
    feature = Oracle((folder / "ue.onnx").read_bytes(), name="ue").run(x)["feature"]
    for budget in BUDGETS:
        name = f"ue-quantizer-{budget}.onnx"
        assert not onnx.load(folder / name).functions
        made = [
            Oracle((place / name).read_bytes(), name=name).run(feature)["payload"]
            for place in (folder, budgets)
        ]
        np.testing.assert_array_equal(*made)


def test_the_c_of_every_part(codebook_source: LinkSource, tmp_path: Path) -> None:
    result = make_package(
        codebook_source,
        wanted(2, 4, emit=frozenset({"c"})),  # type: ignore[arg-type]
        tmp_path / "P",
    )
    stems = ("bs", "bs-quantizer-2", "bs-quantizer-4", "ue", "ue-quantizer-2", "ue-quantizer-4")
    assert result["c"] == sorted(f"{stem}-c" for stem in stems)
    for stem in stems:
        folder = tmp_path / "P" / f"{stem}-c"
        page = (folder / "README.md").read_text()
        part = {"ue": "encoder", "bs": "decoder"}.get(stem, "quantizer")
        assert page.startswith(f"# {part} of the {stem[:2].upper()}, as C99")
        assert f"{stem}.csib" in page
    kernels = tmp_path / "P" / "ue-quantizer-2-c" / "kernels" / "reference"
    assert (kernels / "quantize_codebook.c").is_file()
    assert not (kernels / "conv2d.c").exists()


def test_report(budgets: Path, codebook_source: LinkSource, run: Run) -> None:
    result = run("report", budgets, "--json", "--rounds", 2)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [layout["bits"] for layout in report["budgets"]] == [2, 3, 4]
    for side, data in report["sides"].items():
        for key in ("stored_bytes", "parameters", "macs", "flops"):
            assert data[key] == sum(layer[key] for layer in data["layers"])
        files = [budgets / f"{side}.csib"]
        files += [budgets / f"{side}-quantizer-{b}.csib" for b in BUDGETS]
        assert data["bundle_bytes"] == sum(path.stat().st_size for path in files)
        assert data["memory_bytes"] == data["bundle_bytes"] + data["arena_bytes"]
        sizes = {part["budget"]: part["codebook_bytes"] for part in data["parts"]}
        assert sizes.pop(None) is None
        for budget, found in sizes.items():
            values = len(codebook_source.codebooks[budget].values)
            if side == "ue":
                assert found == {"thresholds": 4 * (values - 256), "widths": 128}
            else:
                assert found == {"book": 2 * values, "widths": 128}
        rows = [layer for layer in data["layers"] if layer.get("budget") == 3]
        assert len(rows) == 2
    shown = run("report", budgets, "--format", "markdown", "--rounds", 2)
    assert "| 2 bits: payload.PackWidths |" in shown.stdout
    assert "- Payload: 3 bits an output, 256 codes of 0 to 8 bits = 597 bits, 75 bytes" in (
        shown.stdout
    )


def test_inspect_and_run_a_quantizer(budgets: Path, tmp_path: Path, run: Run) -> None:
    bundle = budgets / "ue-quantizer-2.csib"
    looked = run("inspect", bundle, "--json")
    assert looked.exit_code == 0
    payload = json.loads(looked.stdout)["payload"]
    assert (payload["layout_id"], payload["bits_per_sample"]) == (0x0202, 341)
    assert "341 together" in run("inspect", bundle).stdout
    with np.load(budgets / "vectors.npz") as vectors:
        np.save(tmp_path / "f.npy", vectors["feature"])
        result = run("run", bundle, tmp_path / "f.npy", "--out", tmp_path / "p.npy")
        assert result.exit_code == 0, result.output
        np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), vectors["payload_2"])


@pytest.mark.parametrize("bits", [(3,), (2, 4)])
def test_integers(
    bits: tuple[int, ...], codebook_source: LinkSource, csi_file: Path, tmp_path: Path, run: Run
) -> None:
    """One budget: the quantizer's thresholds are integers. Several: quantizers stay as they are."""
    folder = tmp_path / "P"
    make_package(
        codebook_source,
        wanted(*bits, precision="int8", calibration=csi_file),  # type: ignore[arg-type]
        folder,
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    precisions = {part["file"]: part["precision"] for part in manifest["parts"]}
    quantizers = [f"{s}-quantizer-{b}" for s in ("ue", "bs") for b in bits if len(bits) > 1]
    assert precisions == {"ue": "int8", "bs": "int8", **dict.fromkeys(quantizers, "fp32")}
    for stem in quantizers:
        assert f"{stem}.int8.csib" not in manifest["files"]
    result = run("validate", folder, "--reference", csi_file, "--samples", 40, "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)["measured"]
    for own in figures["budgets"].values() if len(bits) > 1 else [figures]:
        assert own["ue_codes"] == 40 * 256
        assert own["ue_codes_differ"] <= (0 if len(bits) > 1 else 2)
        assert abs(own["nmse_db"] - own["nmse_db_fp32"]) < 0.1
    payload = tmp_path / "p.bin"
    assert run("encode", folder, csi_file, "--out", payload).exit_code == 0
    result = run("decode", folder, payload, "--out", tmp_path / "h.npy")
    assert result.exit_code == 0, result.output
