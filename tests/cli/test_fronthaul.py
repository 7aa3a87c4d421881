"""Fronthaul systems through the command line: training, packages, payloads, checks, reports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from csideploy.fronthaul.codebooks import Codebooks, load_codebooks
from csideploy.fronthaul.link import power_gains, prepare
from csideploy.fronthaul.search import unpack_messages
from csideploy.fronthaul.searches import look_up, settle, table_indices
from csideploy.fronthaul.searches import oracle as numpy_search
from csideploy.package import open_package

from .conftest import Run

BLOCK = 7
"""Messages of 2, 3 and 12 bits in blocks of 7: every RU's stream ends in a pad."""
USERS = ("--users", "2")
SIZES = (*USERS, "--set", "receive-antennas=2", "--set", "streams=1")
TABLES = (*SIZES, "--bits", "2,3,2", "--set", "antennas=2/1/2")
NETWORKS = (*SIZES, "--bits", "12,12,9", "--set", "antennas=2/2/1")
TRAINED = {
    "mq": (*TABLES, "--set", "rounds=2", "--set", "channels=8"),
    "smq": (*TABLES, "--set", "rounds=2", "--set", "channels=8"),
    "pmq": (*TABLES, "--set", "rounds=2", "--set", "channels=8", "--set", "alpha=0.4"),
    "neural-vq": (*NETWORKS, "--set", "steps=3", "--set", "hidden=12", "--set", "iterations=20"),
    "neural-mq": (*NETWORKS, "--set", "steps=3", "--set", "hidden=12", "--set", "iterations=20"),
}


@pytest.fixture(scope="module")
def runs(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A trained run of every system."""
    pytest.importorskip("torch", reason="networks are trained with torch")
    folder = tmp_path_factory.mktemp("runs")
    for system, options in TRAINED.items():
        done = run("train", system, "--channel", "rayleigh", *options, "--seed", 3,
                   "--out", folder / system)  # fmt: skip
        assert done.exit_code == 0, done.stderr
        assert "Sum SE" in done.stderr
        assert "linear precoding" in done.stderr
    return {system: folder / system for system in TRAINED}


@pytest.fixture(scope="module")
def packages(
    run: Run, runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Their packages, one of tables that are trained at export, and one of int8 RUs."""
    folder = tmp_path_factory.mktemp("packages")
    sources: dict[str, tuple[object, ...]] = {
        system: ("--checkpoint", path) for system, path in runs.items()
    }
    sources["vq"] = ("--model", "vq", *TABLES, "--channel", "rayleigh")
    sources["int8"] = ("--checkpoint", runs["neural-mq"], "--precision", "int8")
    for name, source in sources.items():
        done = run("export", *source, "--set", f"block={BLOCK}", "--out", folder / name)
        assert done.exit_code == 0, done.stderr
    return {name: folder / name for name in sources}


@pytest.fixture(scope="module")
def blocks(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six blocks for antennas 2, 1, 2."""
    path = tmp_path_factory.mktemp("blocks") / "b.npz"
    done = run("data", "generate", "--scenario", "umi-links", "--samples", 6, *SIZES,
               "--set", "antennas=2/1/2", "--set", f"block={BLOCK}", "--seed", 5,
               "--out", path)  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return path


@pytest.mark.parametrize("system", ["vq", "mq", "smq", "pmq", "neural-vq", "neural-mq", "int8"])
def test_every_package_holds_its_checks(
    run: Run, packages: dict[str, Path], system: str, tmp_path: Path
) -> None:
    done = run("validate", packages[system], "--samples", 3, "--json")
    assert done.exit_code == 0, done.stdout
    result = json.loads(done.stdout)
    assert len(result["checks"]) == 4
    assert result["measured"]["ru_numbers"] == 2 * 3 * BLOCK * 2 * 5
    if not system.startswith(("neural", "int8")):
        assert result["measured"]["du_bits_differ"] == 0
        assert sum(result["measured"]["ru_differ"].values()) == 0
    else:
        assert abs(result["measured"]["du_objective_apart"]) < 1e-2
    manifest = json.loads((packages[system] / "manifest.json").read_text())
    assert (manifest["kind"], manifest["payload"], manifest["block"]) == ("fronthaul", None, BLOCK)
    end = ".int8.csib" if system == "int8" else ".csib"
    assert {"du.csib", *(f"ru-{m}{end}" for m in (1, 2, 3))} <= set(manifest["files"])


def sent_by_hand(codebooks: Codebooks, blocks: Path) -> np.ndarray:
    """What RUs send, without bundles and payloads: float64 NumPy alone."""
    with np.load(blocks) as archive:
        links = prepare(codebooks.setup, archive["H"])
        s = archive["s"].astype(np.complex128)
    search = numpy_search(codebooks)
    gamma = settle(search, links, s, codebooks.rounds)
    x_hat = look_up(codebooks.tables, table_indices(codebooks, links, s, gamma))
    antennas = np.repeat(power_gains(codebooks.setup, x_hat), codebooks.setup.antennas, axis=-1)
    return x_hat * antennas[:, None]


@pytest.mark.parametrize("system", ["mq", "smq", "pmq"])
def test_a_round_trip_is_what_numpy_says(
    run: Run,
    packages: dict[str, Path],
    runs: dict[str, Path],
    blocks: Path,
    tmp_path: Path,
    system: str,
) -> None:
    payload, out = tmp_path / "p.bin", tmp_path / "x.npy"
    done = run("encode", packages[system], blocks, "--out", payload, "--json")
    assert done.exit_code == 0, done.stderr
    # 14, 21 and 14 bits.
    assert json.loads(done.stdout)["payload_bytes"] == 2 + 3 + 2
    assert payload.stat().st_size == 32 + 6 * 7
    assert payload.read_bytes()[6:8] == b"\x00\x03"
    done = run("decode", packages[system], payload, "--out", out, "--reference", blocks, "--json")
    assert done.exit_code == 0, done.stderr
    codebooks = load_codebooks(runs[system])
    x = np.load(out)
    assert (x.dtype, x.shape) == (np.complex64, (6, BLOCK, 5))
    np.testing.assert_allclose(x, sent_by_hand(codebooks, blocks), atol=1e-6)
    indices = unpack_messages(payload.read_bytes()[32:39], codebooks.setup.bits, BLOCK)
    first = np.concatenate([t[indices[:, m]] for m, t in enumerate(codebooks.tables)], axis=1)
    power = np.abs(first).reshape(BLOCK, -1) ** 2
    gains = [min(1, power[:, own].sum(axis=1).mean() ** -0.5) for own in codebooks.setup.spans]
    np.testing.assert_allclose(x[0], first * np.repeat(gains, (2, 1, 2)), atol=1e-6)
    result = json.loads(done.stdout)
    assert result["plain"] <= result["efficiency"] <= result["linear_efficiency"]
    low, high = result["efficiency_interval"]
    assert low < result["efficiency"] < high


@pytest.mark.parametrize("system", ["vq", "neural-mq", "int8"])
def test_raw_payloads(run: Run, packages: dict[str, Path], tmp_path: Path, system: str) -> None:
    path = tmp_path / "b.npz"
    antennas = "antennas=2/1/2" if system == "vq" else "antennas=2/2/1"
    done = run("data", "generate", "--scenario", "rayleigh", "--samples", 5, *SIZES,
               "--set", antennas, "--set", f"block={BLOCK}", "--out", path)  # fmt: skip
    assert done.exit_code == 0, done.stderr
    made = []
    for raw in ((), ("--raw",)):
        payload, out = tmp_path / f"p{len(raw)}", tmp_path / f"x{len(raw)}.npy"
        assert run("encode", packages[system], path, "--out", payload, *raw).exit_code == 0
        done = run("decode", packages[system], payload, "--out", out, *raw, "--reference", path)
        assert done.exit_code == 0, done.stderr
        assert "Linear precoding" in done.stdout
        made.append((payload.read_bytes(), np.load(out)))
    assert made[0][0][32:] == made[1][0]
    np.testing.assert_array_equal(made[0][1], made[1][1])
    # No RU sends more than its power.
    setup = open_package(packages[system]).fronthaul_setup()
    for span in setup.spans:
        assert (np.abs(made[0][1][..., span]) ** 2).sum(axis=-1).mean(axis=1).max() < 1 + 1e-5


def test_users_and_snr_are_free_and_leave_the_pairing(
    run: Run, packages: dict[str, Path], runs: dict[str, Path], tmp_path: Path
) -> None:
    done = run("export", "--checkpoint", runs["neural-mq"], "--users", 3, "--snr", 10,
               "--set", f"block={BLOCK}", "--set", "iterations=5", "--out", tmp_path / "P",
               "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["setup"]["users"], made["setup"]["snr_db"]) == (3, 10)
    same = open_package(packages["neural-mq"]).pairing_id.hex()
    assert made["pairing_id"] == same == open_package(packages["int8"]).pairing_id.hex()
    assert made["pairing_id"] != open_package(packages["neural-vq"]).pairing_id.hex()
    assert run("validate", tmp_path / "P", "--samples", 2).exit_code == 0


def test_c_of_every_part(run: Run, runs: dict[str, Path], tmp_path: Path) -> None:
    for name, more in (("pmq", ()), ("neural-mq", ("--precision", "int8"))):
        folder = tmp_path / name
        done = run("export", "--checkpoint", runs[name], *more, "--set", f"block={BLOCK}",
                   "--emit", "c,onnx", "--out", folder, "--json")  # fmt: skip
        assert done.exit_code == 0, done.stderr
        end = "-int8-c" if more else "-c"
        assert json.loads(done.stdout)["c"] == ["du-c", *(f"ru-{m}{end}" for m in (1, 2, 3))]
        assert (folder / f"ru-2{end}" / "model.c").is_file()
        assert run("validate", folder).exit_code == 2


def test_report_by_part_and_by_bandwidth(run: Run, packages: dict[str, Path]) -> None:
    done = run("report", packages["neural-mq"], "--rounds", 1, "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result["sides"]) == ["du", "ru-1", "ru-2", "ru-3"]
    # 12 bits -> 12 units -> 4 numbers, 9 -> 12 -> 2.
    uses = result["fronthaul"]["bandwidth"]["rus"]
    assert [uses[f"ru-{m}"]["macs_per_use"] for m in (1, 2, 3)] == [192, 192, 132]
    assert result["same"] == {"du": "du", "ru-1": "ru-1", "ru-2": "ru-1", "ru-3": "ru-3"}
    assert result["sides"]["ru-2"]["run_latency_s"] == result["sides"]["ru-1"]["run_latency_s"]
    shown = run("report", packages["neural-mq"], "--rounds", 1).stdout
    for words in ("RU-1: decoder-1", "RU-3: decoder-3", "RU-1 stands for RU-2 too", "Cortex-A53"):
        assert words in shown
    assert "RU-2: " not in shown
    pages = run("report", packages["pmq"], "--rounds", 1, "--format", "markdown").stdout
    assert "## What the RUs keep up with" in pages
    assert "it reads a row a channel use: RU-1 16 bytes, RU-2 8 bytes" in pages
    written = json.loads((packages["pmq"] / "report.json").read_text())
    assert list(written["sides"]) == ["du", "ru-1", "ru-2", "ru-3"]


def test_systems_lists_them(run: Run) -> None:
    rows = {row["system"]: row for row in json.loads(run("systems", "--json").stdout)["fronthaul"]}
    assert list(rows) == ["cp", "vq", "mq", "smq", "pmq", "neural-vq", "neural-mq"]
    assert rows["cp"]["parts"] == []
    assert [part["side"] for part in rows["mq"]["parts"]] == ["du", "ru", "ru", "ru", "ru"]
    assert len(rows["pmq"]["parts"]) == 9
    assert "neural-mq" in run("systems").stdout


def changed(package: Path, folder: Path) -> Path:
    """A copy of a package to be spoilt."""
    return Path(shutil.copytree(package, folder / "P"))


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Put other bytes in a file's place, with the hash that the manifest then has to have."""
    import hashlib

    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name]["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_validate_finds_a_du_with_other_tables(
    run: Run, packages: dict[str, Path], runs: dict[str, Path], tmp_path: Path
) -> None:
    from dataclasses import replace

    from csideploy.export.bundle_write import write_bundle
    from csideploy.fronthaul.parts import du_plan

    folder = changed(packages["smq"], tmp_path)
    codebooks = load_codebooks(runs["smq"])
    swapped = replace(codebooks, tables=tuple(t[::-1].copy() for t in codebooks.tables))
    pairing = open_package(folder).pairing_id
    rewrite(folder, "du.csib", write_bundle(du_plan(swapped, block=BLOCK, pairing_id=pairing)))
    done = run("validate", folder, "--json")
    assert done.exit_code == 1
    failed = [c["name"] for c in json.loads(done.stdout)["checks"] if not c["holds"]]
    assert failed == ["DU payload equals float64 NumPy's", "golden vectors: DU payload"]


def test_validate_finds_a_du_that_searches_less(
    run: Run, packages: dict[str, Path], runs: dict[str, Path], tmp_path: Path
) -> None:
    from dataclasses import replace

    from csideploy.export.bundle_write import write_bundle
    from csideploy.fronthaul.parts import du_plan

    folder = changed(packages["neural-mq"], tmp_path)
    codebooks = replace(load_codebooks(runs["neural-mq"]), iterations=1)
    pairing = open_package(folder).pairing_id
    rewrite(folder, "du.csib", write_bundle(du_plan(codebooks, block=BLOCK, pairing_id=pairing)))
    done = run("validate", folder, "--samples", 40, "--json")
    assert done.exit_code == 1
    failed = [c["name"] for c in json.loads(done.stdout)["checks"] if not c["holds"]]
    assert failed[0].startswith("DU objective")
    assert "golden vectors: DU payload" in failed


def test_parts_of_other_places(run: Run, packages: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(packages["smq"], tmp_path)
    rewrite(folder, "ru-1.csib", (folder / "ru-2.csib").read_bytes())
    done = run("validate", folder)
    assert done.exit_code == 2
    assert "ru-1.csib is no part of this package" in done.stderr
    rewrite(folder, "ru-1.csib", (packages["pmq"] / "ru-1.csib").read_bytes())
    done = run("validate", folder)
    assert done.exit_code == 2
    assert "belongs to another link" in done.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": ["fronthaul"]}, "is of kind"),
        ({"kind": "moon"}, "is of kind"),
        ({"system": "acrnet1x"}, "'system'"),
        ({"setup": {}}, "of 4 RUs"),
        ({"setup": {"moon": 1}}, "'setup'"),
        ({"setup": {"antennas": 3}}, "'setup'"),
        ({"bits": [2, 3, 3]}, "'bits'"),
        ({"bits": 2}, "'bits'"),
        ({"block": 0}, "block"),
        ({"block": True}, "block"),
        ({"block": 1 << 20}, "block"),
        ({"payload": {}}, "'payload'"),
        ({"budgets": []}, "'budgets'"),
        ({"iterations": -1}, "iterations"),
        ({"alpha": 2}, "'alpha'"),
        ({"eta": float("nan")}, "'eta'"),
        ({"pairing_id": "00"}, "pairing id"),
        ({"files": {}}, "no file of ru-1"),
    ],
)
def test_manifests_that_do_not_hold(
    run: Run,
    packages: dict[str, Path],
    tmp_path: Path,
    changes: dict[str, object],
    words: str,
) -> None:
    folder = changed(packages["smq"], tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    for verb in (("validate", folder), ("report", folder)):
        done = run(*verb)
        assert done.exit_code == 2
        (line,) = done.stderr.splitlines()
        assert "manifest.json" in line
        assert words in line or words == "of 4 RUs"


def test_bad_payloads(run: Run, packages: dict[str, Path], blocks: Path, tmp_path: Path) -> None:
    payload = tmp_path / "p.bin"
    assert run("encode", packages["smq"], blocks, "--out", payload).exit_code == 0
    data = payload.read_bytes()
    for name, spoilt, words in (
        ("short", data[:-1], "truncated"),
        ("long", data + b"\0", "behind its last sample"),
        ("head", b"XXXX" + data[4:], "does not start with CSIP"),
        ("damaged", data[:17] + b"\xff" + data[18:], "checksum"),
    ):
        path = tmp_path / name
        path.write_bytes(spoilt)
        done = run("decode", packages["smq"], path, "--out", tmp_path / "x.npy")
        assert done.exit_code == 2
        assert words in done.stderr
    done = run("decode", packages["pmq"], payload, "--out", tmp_path / "x.npy")
    assert done.exit_code == 2
    assert "encoded by another link" in done.stderr
    (tmp_path / "raw").write_bytes(data[32:-1])
    done = run("decode", packages["smq"], tmp_path / "raw", "--raw", "--out", tmp_path / "x.npy")
    assert "a block of this package has 7" in done.stderr
    assert not (tmp_path / "x.npy").exists()


def test_bad_blocks(run: Run, packages: dict[str, Path], blocks: Path, tmp_path: Path) -> None:
    with np.load(blocks) as archive:
        h, s = archive["H"], archive["s"]
    spoilt_h, spoilt_s = h.copy(), s.copy()
    spoilt_h[2, 0, 0, 0] = np.nan
    spoilt_s[1, 0, 0] = np.inf
    silent = h.copy()
    silent[1] = 0
    path, out = tmp_path / "b.npz", tmp_path / "p"
    for arrays, words in (
        ({"H": spoilt_h, "s": s}, "H has numbers that are not finite"),
        ({"H": h, "s": spoilt_s}, "s has numbers that are not finite"),
        ({"H": silent, "s": s}, "all zero"),
        ({"H": h[:, :1], "s": s}, "H is complex64"),
        ({"H": h, "s": s[:, :4]}, "(blocks, 7, 2) is right"),
        ({"H": h, "s": s[:3]}, "s is complex64"),
        ({"H": h[:0], "s": s[:0]}, "is right"),
        ({"H": h.real, "s": s}, "H is float32"),
        ({"H": h}, "no .npz with H and s"),
    ):
        np.savez(path, **arrays)
        done = run("encode", packages["smq"], path, "--out", out)
        assert done.exit_code == 2
        (line,) = done.stderr.splitlines()
        assert words in line
    path.write_bytes(b"nothing")
    assert "no .npz" in run("encode", packages["smq"], path, "--out", out).stderr
    assert "no such file" in run("encode", packages["smq"], "none", "--out", out).stderr
    assert not out.exists()
    done = run("encode", packages["smq"], blocks, "--out", out, "--with-scale")
    assert "goes with CSI feedback" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("export --model cp", "baseline"),
        ("export --model smq --set alpha=0.5", "alpha: of pmq"),
        ("export --model smq --set iterations=3", "iterations: of pmq"),
        ("export --model smq --set hidden=3", "tables, no networks"),
        ("export --model smq --set moon=3", "NAME one of rus, antennas"),
        ("export --model smq --set rus=3 --set rus=3", "given twice"),
        ("export --model smq --set rus=x", "a number is needed"),
        ("export --model smq --set rus=0", "at least 1"),
        ("export --model smq --set block=70000", "65535"),
        ("export --model smq --set rus=3 --bits 1,2", "bits of 2 RUs"),
        ("export --model smq --set antennas=1/2 --bits 1,2,3", "bits of 3 RUs"),
        ("export --model smq --bits x", "--bits x"),
        ("export --model smq --bits 13", "up to 12 bits"),
        ("export --model mq --bits 6", "up to 20 bits"),
        ("export --model smq --precision int8", "look their numbers up"),
        ("export --model smq --cr 4", "--cr"),
        ("export --model smq --table auto", "--table"),
        ("export --model smq --channel moon", "channel moon"),
        ("export --model bacrnet1x --channel umi", "--channel"),
        ("train cp", "nothing to train"),
        ("train smq --epochs 3", "--set steps="),
        ("train smq --set steps=3", "smq has tables"),
        ("train smq --rate 0.1", "smq has tables"),
        ("train smq --users 2,3", "one number each"),
        ("train smq --channel moon", "channel moon"),
        ("train smq --snr x", "--snr x"),
        ("train neural-mq --set rounds=3", "networks"),
        ("train bacrnet1x --channel umi", "--channel"),
        ("train rank1-rzf --publish zoo", "--publish"),
    ],
)
def test_bad_use(run: Run, arguments: str, words: str, tmp_path: Path) -> None:
    done = run(*arguments.split(), "--out", tmp_path / "P")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert words in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--bits 3", "bits 3: these weights"),
        ("--set rus=4", "rus 4"),
        ("--set antennas=4", "antennas 4"),
        ("--set hidden=13", "these weights have 12"),
        ("--set layers=2", "these weights have 1"),
        ("--model pmq", "holds neural-mq"),
        ("--channel umi", "trained already"),
    ],
)
def test_weights_are_what_they_are(
    run: Run, runs: dict[str, Path], arguments: str, words: str, tmp_path: Path
) -> None:
    done = run("export", "--checkpoint", runs["neural-mq"], *arguments.split(),
               "--out", tmp_path / "P")  # fmt: skip
    assert done.exit_code == 2
    assert words in done.stderr
