"""Precoders through the command line: packages, tables, payloads, rates."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from csideploy.downlink import Setup, dft_pilots, observe, rayleigh
from csideploy.downlink.forms import FORMS
from csideploy.downlink.tables import pack_indices
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part
from tests.cli.conftest import Run

SMALL = ("--users", "2", "--bits", "3", "--set", "antennas=4", "--set", "pilots=4")
SETUP = Setup(antennas=4, streams=2, users=2, bits=3, pilots=4)


def save_random(folder: Path, setup: Setup, **options: object) -> Path:
    """Weights as `train` leaves them, but random."""
    torch = pytest.importorskip("torch", reason="weights of the test network come from torch")
    from csideploy.systems.kd_precoder import KdPrecoder, Options
    from csideploy.training.precoder_weights import save_precoder

    torch.manual_seed(11)
    several = bool(options.get("power_input"))
    precoder = KdPrecoder(setup, Options(**options))  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in precoder.parameters():
            # Zero biases would hide a layer that forgets them.
            if parameter.ndim == 1:
                parameter.uniform_(-0.3, 0.3)
    powers = {"values": [0.0, 30.0] if several else [10.0], "even": several}
    folder.mkdir()
    about = {"recipe": {"powers": powers}, "seed": 11, "training": {}}
    save_precoder(folder / "weights.safetensors", precoder, about)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random(tmp_path_factory.mktemp("kd") / "run", SETUP)


@pytest.fixture(scope="module")
def native(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rzf") / "P"
    done = run("export", "--model", "rank1-rzf", *SMALL, "--snr", "15", "--out", folder)
    assert done.exit_code == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Channels and received pilots of 300 samples."""
    folder = tmp_path_factory.mktemp("heard")
    rng = np.random.default_rng(5)
    h = rayleigh(SETUP, 300, rng)
    y = observe(SETUP, h, dft_pilots(SETUP), rng)
    np.save(folder / "h.npy", h)
    np.save(folder / "y.npy", y.view(np.complex64)[..., 0])
    return folder / "h.npy", folder / "y.npy"


def every_payload(setup: Setup) -> tuple[np.ndarray, np.ndarray]:
    indices = np.array(list(itertools.product(range(1 << setup.bits), repeat=setup.users)))
    return indices, pack_indices(setup, indices)


def test_paper_sized_table_equals_the_network(run: Run, tmp_path: Path) -> None:
    """K = 2 of paper 004's sizes: all 4,096 inputs, to the bit; sorted equals ordered."""
    setup = Setup(users=2)
    weights = save_random(tmp_path / "run", setup)
    parts = {}
    for form in ("none", "ordered-full-fp32", "sorted-full-fp32"):
        folder = tmp_path / form
        done = run("export", "--checkpoint", weights, "--table", form, "--out", folder)
        assert done.exit_code == 0, done.stderr
        parts[form] = Part(folder / "bs.csib")
    _, payload = every_payload(setup)
    assert len(payload) == 4096
    (v,) = parts["none"].run(payload)
    for form in ("ordered-full-fp32", "sorted-full-fp32"):
        np.testing.assert_array_equal(parts[form].run(payload)[0], v)
    theirs = Oracle((tmp_path / "none" / "bs.onnx").read_bytes(), name="bs.onnx").run(payload)["V"]
    # Columns have unit norm; sums of at most 1,280 float32 products.
    np.testing.assert_allclose(v, theirs, atol=1e-6)
    # Not all the same: 2,080 sets of indices, as many matrices.
    assert len(np.unique(v.reshape(4096, -1), axis=0)) > 4000


@pytest.mark.parametrize("form", [str(form) for form in FORMS])
def test_every_form_round_trips(run: Run, network: Path, tmp_path: Path, form: str) -> None:
    folder = tmp_path / "P"
    done = run("export", "--checkpoint", network, "--table", form, "--out", folder, "--json")
    assert done.exit_code == 0, done.stderr
    table = json.loads(done.stdout)["table"]
    (own,) = (row for row in table["candidates"] if row["form"] == form)
    size = (folder / "bs.csib").stat().st_size
    assert own["bytes"] <= size <= own["bytes"] + 2000
    checked = run("validate", folder, "--samples", 40, "--json")
    assert checked.exit_code == 0, checked.stdout
    measured = json.loads(checked.stdout)["measured"]
    assert measured["sum_rate"] == pytest.approx(measured["sum_rate_reference"], abs=1e-4)
    # Each column, or with one a user its copies, has unit norm again.
    _, payload = every_payload(SETUP)
    (v,) = Part(folder / "bs.csib").run(payload)
    np.testing.assert_allclose(np.square(v).sum(axis=(-1, -2)), 1, atol=1e-5)
    sorted_form, ordered = form.replace("ordered", "sorted"), form.replace("sorted", "ordered")
    losses = {row["form"]: row["loss"] for row in table["candidates"]}
    assert losses[sorted_form] == losses[ordered]
    assert losses["ordered-full-fp32"] == pytest.approx(0, abs=1e-6)


def test_native_part_and_its_tables(run: Run, native: Path, tmp_path: Path) -> None:
    checked = run("validate", native, "--json")
    assert checked.exit_code == 0, checked.stdout
    assert not (native / "bs.onnx").exists()
    folder = tmp_path / "T"
    form = "sorted-rank1-fp32"
    done = run("export", "--model", "rank1-rzf", *SMALL, "--snr", "15", "--table", form,
               "--out", folder)  # fmt: skip
    assert done.exit_code == 0, done.stderr
    _, payload = every_payload(SETUP)
    tables, itself = (Part(path / "bs.csib").run(payload)[0] for path in (folder, native))
    # The same codewords in another order: the elimination rounds differently.
    np.testing.assert_allclose(tables, itself, atol=2e-5)
    ids = [
        json.loads((path / "manifest.json").read_text())["pairing_id"] for path in (folder, native)
    ]
    assert ids[0] == ids[1], "a table and its transmitter serve the same users"


@pytest.mark.parametrize("system", ["bd", "rbd"])
def test_block_diagonal_systems_deploy_as_tables(run: Run, tmp_path: Path, system: str) -> None:
    folder = tmp_path / "P"
    refused = run("export", "--model", system, *SMALL, "--out", folder)
    assert refused.exit_code == 2
    assert "--table" in refused.stderr
    done = run("export", "--model", system, *SMALL, "--table", "auto", "--bs-memory", "9kB",
               "--out", folder, "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    chosen = next(
        row for row in result["table"]["candidates"] if row["form"] == result["table"]["form"]
    )
    larger = [row["bytes"] for row in result["table"]["candidates"] if not row["fits"]]
    assert chosen["fits"]
    assert chosen["bytes"] <= 9000 - 4096 < min(larger)
    assert run("validate", folder, "--samples", 40).exit_code == 0
    _, payload = every_payload(SETUP)
    (v,) = Part(folder / "bs.csib").run(payload)
    # tr(V_k^H V_k) = N.
    np.testing.assert_allclose(np.square(v).sum(axis=(2, 3, 4)), 2, atol=1e-5)


def test_auto_takes_the_transmitter_where_no_table_fits(run: Run, tmp_path: Path) -> None:
    command = ("export", "--model", "rank1-rzf", *SMALL, "--table", "auto", "--bs-memory")
    done = run(*command, "2kB", "--out", tmp_path / "P", "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["transmitter"] == "native"
    assert result["table"]["form"] is None
    refused = run(*command, "500", "--out", tmp_path / "Q")
    assert refused.exit_code == 2
    assert "the smallest table takes" in refused.stderr
    assert not (tmp_path / "Q").exists()


def test_pilots_to_payloads_to_rates(
    run: Run, native: Path, heard: tuple[Path, Path], tmp_path: Path
) -> None:
    h, y = heard
    payload, v = tmp_path / "p.bin", tmp_path / "v.npy"
    sent = json.loads(run("encode", native, y, "--out", payload, "--json").stdout)
    assert (sent["payload_bits"], sent["users"]) == (3, 2)
    assert payload.stat().st_size == 32 + 300 * 2
    decoded = run("decode", native, payload, "--reference", h, "--out", v, "--json")
    result = json.loads(decoded.stdout)
    matrices = np.load(v)
    assert matrices.shape == (300, 2, 4, 2)
    # Eq. (1) of paper 004 as it is printed, at 15 dB.
    channels, share = np.load(h).astype(complex), 10**1.5 / 4
    total = 0.0
    for sample in range(300):
        for k in range(2):
            terms = [
                share * (g := channels[sample, k].conj().T @ matrices[sample, m]) @ g.conj().T
                for m in range(2)
            ]
            both = np.linalg.det(np.eye(2) + sum(terms)).real
            total += np.log2(both / np.linalg.det(np.eye(2) + terms[1 - k]).real)
    assert result["sum_rate"] == pytest.approx(total / 300, rel=1e-5)
    raw = tmp_path / "raw.bin"
    run("encode", native, y, "--out", raw, "--raw")
    assert raw.read_bytes() == payload.read_bytes()[32:]
    again = run("decode", native, raw, "--raw", "--out", tmp_path / "w.npy")
    assert again.exit_code == 0
    assert (tmp_path / "w.npy").read_bytes() == v.read_bytes()


def test_another_package_is_refused(
    run: Run, native: Path, network: Path, heard: tuple[Path, Path], tmp_path: Path
) -> None:
    other, payload = tmp_path / "P", tmp_path / "p.bin"
    run("export", "--checkpoint", network, "--out", other)
    run("encode", native, heard[1], "--out", payload)
    result = run("decode", other, payload, "--out", tmp_path / "v.npy")
    assert result.exit_code == 2
    assert "pairing id" in result.stderr or "layout" in result.stderr
    assert not (tmp_path / "v.npy").exists()


def test_int8_receiver(run: Run, network: Path, tmp_path: Path) -> None:
    folder = tmp_path / "P"
    done = run("export", "--checkpoint", network, "--precision", "int8", "--out", folder)
    assert done.exit_code == 0, done.stderr
    assert {"ue.int8.csib", "ue.int8.onnx", "ue.onnx"} <= {path.name for path in folder.iterdir()}
    checked = run("validate", folder, "--samples", 40, "--json")
    assert checked.exit_code == 0, checked.stdout
    floats = tmp_path / "F"
    run("export", "--checkpoint", network, "--out", floats)
    y = np.load(folder / "vectors.npz")["y"].reshape(-1, 4, 2, 2)
    eight, whole = (Part(path).run(y)[0] for path in (folder / "ue.int8.csib", floats / "ue.csib"))
    # Random weights: 8 bits move few signs.
    assert (eight != whole).mean() < 0.1
    ids = [json.loads((p / "manifest.json").read_text())["pairing_id"] for p in (folder, floats)]
    assert ids[0] == ids[1]


def test_one_network_for_all_powers(run: Run, tmp_path: Path) -> None:
    weights = save_random(tmp_path / "run", SETUP, power_input=True)
    refused = run("export", "--checkpoint", weights, "--out", tmp_path / "P")
    assert refused.exit_code == 2
    assert "--snr" in refused.stderr
    made = []
    for snr in (0, 20):
        folder = tmp_path / str(snr)
        done = run("export", "--checkpoint", weights, "--snr", snr, "--out", folder)
        assert done.exit_code == 0, done.stderr
        assert run("validate", folder, "--samples", 20).exit_code == 0
        _, payload = every_payload(SETUP)
        made.append(Part(folder / "bs.csib").run(payload)[0])
    assert np.abs(made[0] - made[1]).max() > 0.01


def test_order_of_users_is_kept_where_it_matters(run: Run, tmp_path: Path) -> None:
    weights = save_random(tmp_path / "run", SETUP, order="given")
    refused = run("export", "--checkpoint", weights, "--table", "sorted-full-int8",
                  "--out", tmp_path / "P")  # fmt: skip
    assert refused.exit_code == 2
    assert "order" in refused.stderr
    done = run("export", "--checkpoint", weights, "--table", "auto", "--bs-memory", "1MB",
               "--out", tmp_path / "P", "--json")  # fmt: skip
    assert json.loads(done.stdout)["table"]["form"] == "ordered-full-fp32"


@pytest.mark.parametrize("which", ["native", "network"])
def test_report_and_c(run: Run, native: Path, network: Path, tmp_path: Path, which: str) -> None:
    folder = tmp_path / "P"
    source = ("--model", "rank1-rzf", *SMALL) if which == "native" else ("--checkpoint", network)
    done = run("export", *source, "--emit", "onnx,bundle,c", "--out", folder)
    assert done.exit_code == 0, done.stderr
    assert list(folder.glob("*/main.c"))
    report = json.loads(run("report", folder, "--json", "--rounds", 2).stdout)
    assert report["precoder"]["setup"]["users"] == 2
    if which == "network":
        # The paper's sizes at M = 4, N = 2, L = 4, B = 3: 16-320-240-160-3.
        flops = 10 * 8 * (16 * 4 * 2 + 360 * 8 - 9) + 3 * (40 * 8 - 1)
        assert report["precoder"]["receiver_flops"] == flops
        assert report["sides"]["ue"]["macs"] == 16 * 320 + 320 * 240 + 240 * 160 + 160 * 3
    assert run("report", folder, "--rounds", 2).exit_code == 0


def test_evaluate_beside_all_baselines(
    run: Run, network: Path, native: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="the chart's extra")
    figures, chart = tmp_path / "f.json", tmp_path / "c.svg"
    result = run(
        "evaluate", f"{network},{native}", "--snr", "10,15", "--samples", "400",
        "--out", figures, "--chart", chart,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert chart.read_text().lstrip().startswith("<?xml")
    rows = json.loads(figures.read_text())["rows"]
    systems = {row["system"] for row in rows}
    assert {"bd (chordal)", "rbd (chordal)", "rbd-infinite", "rank1-rzf (chordal)"} <= systems
    # Each where it was made for: the network at 10 dB, the package at 15.
    assert [row["snr_db"] for row in rows if row["system"] == str(network)] == [10]
    assert [row["snr_db"] for row in rows if row["system"] == str(native)] == [15]
    for row in rows:
        low, high = row["sum_rate_interval"]
        assert low < row["sum_rate"] < high
    by_name = {(row["system"], row["snr_db"]): row["sum_rate"] for row in rows}
    # What is deployed is one of the two NumPy schemes; their codebooks differ by the seed.
    schemes = [by_name["rank1-rzf (chordal)", 15.0], by_name["rank1-rzf (sinr)", 15.0]]
    assert min(schemes) - 0.3 < by_name[str(native), 15.0] < max(schemes) + 0.3
    assert "take rank1-rzf" in result.stdout, "random weights are no reason for a network"


def test_evaluate_by_users(run: Run) -> None:
    result = run("evaluate", "rank1-rzf", "--users", "1,2", "--bits", "3", "--set", "antennas=4",
                 "--snr", "10", "--samples", "200", "--json")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    results = json.loads(result.stdout)["users"]
    assert [entry["setup"]["users"] for entry in results] == [1, 2]


BAD = [
    (("export", "--model", "rank1-rzf", "--users", "5"), "K <= M / N"),
    (("export", "--model", "rank1-rzf", "--bits", "9"), "at most 8"),
    (("export", "--model", "rank1-rzf", "--table", "sideways"), "sorted-rank1-int8"),
    (("export", "--model", "rank1-rzf", "--table", "auto"), "--bs-memory"),
    (("export", "--model", "rank1-rzf", "--bs-memory", "lots", "--table", "auto"), "64MB"),
    (("export", "--model", "rank1-rzf", "--table", "ordered-full-fp32"), "2^28"),
    (("export", "--model", "rank1-rzf", "--bs-memory", "1kB"), "the transmitter itself takes"),
    (("export", "--model", "rank1-rzf", "--snr", "4000"), "--snr 4000"),
    (("export", "--model", "rank1-rzf", "--snr", "nan"), "--snr nan"),
    (("export", "--model", "rank1-rzf", "--precision", "int8"), "argmax"),
    (("export", "--model", "rank1-rzf", "--cr", "8"), "--cr"),
    (("export", "--model", "rank1-rzf", "--set", "antenna=8"), "antennas, streams"),
    (("export", "--model", "rank1-rzf", "--set", "antennas=eight"), "a number"),
    (
        ("export", "--model", "bd", "--distance", "sinr", "--table", "sorted-full-int8"),
        "rank1-rzf only",
    ),
    (("export", "--model", "rbd-infinite"), "to compare with"),
    (("export", "--model", "bacrnet10x", "--table", "auto"), "--table"),
    (("export", "--model", "bacrnet10x", "--snr", "10"), "--snr"),
    (("train", "bd", "--out", "P"), "nothing to train"),
    (("train", "rank1-rzf", "--snr", "0:30", "--out", "P"), "one P"),
    (("train", "rank1-rzf", "--bits", "9", "--out", "P"), "at most 8"),
    (("evaluate", "rank1-rzf", "--snr", "ten"), "0,10,20,30"),
    (("evaluate", "rank1-rzf", "--snr", "10,10"), "twice"),
    (("evaluate", "rank1-rzf", "--users", "two"), "whole numbers"),
    (("evaluate", "rank1-rzf", "--channel", "indoor"), "--channel"),
    (("evaluate", "rank1-rzf,pca-cr8"), "apart"),
    (("evaluate", "pca-cr8", "--snr", "10"), "--snr"),
    (("evaluate", "rank1-rzf", "--samples", "50"), "100"),
]


@pytest.mark.parametrize(("command", "says"), BAD, ids=[" ".join(row[0]) for row in BAD])
def test_bad_use_is_one_line(run: Run, tmp_path: Path, command: tuple[str, ...], says: str) -> None:
    more = ("--out", tmp_path / "P") if command[0] == "export" else ()
    result = run(*command, *more)
    assert result.exit_code == 2, result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("csideploy: error: ")
    assert says in line
    assert not (tmp_path / "P").exists()


def test_bad_pilots_and_payloads(
    run: Run, native: Path, heard: tuple[Path, Path], tmp_path: Path
) -> None:
    h, y = heard
    np.save(tmp_path / "few.npy", np.load(y)[:, :1])
    np.save(tmp_path / "words.npy", np.array(["a"]))
    holes = np.load(y)
    holes[3, 1, 2, 0] = np.nan
    np.save(tmp_path / "holes.npy", holes)
    (tmp_path / "text.npy").write_text("no array")
    payload = tmp_path / "p.bin"
    run("encode", native, y, "--out", payload)
    short, odd = tmp_path / "short.bin", tmp_path / "odd.bin"
    short.write_bytes(payload.read_bytes()[:-1])
    odd.write_bytes(b"\0" * 3)
    damaged = tmp_path / "D"
    damaged.mkdir()
    for path in native.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((native / "manifest.json").read_text())
    manifest["setup"]["users"] = 3
    (damaged / "manifest.json").write_text(json.dumps(manifest))
    out, few = tmp_path / "out", tmp_path / "few.npy"
    for command, says in (
        (("encode", native, tmp_path / "few.npy", "--out", out), "(n, 2, 4, 2)"),
        (("encode", native, tmp_path / "words.npy", "--out", out), "real or complex"),
        (("encode", native, tmp_path / "holes.npy", "--out", out), "not finite"),
        (("encode", native, tmp_path / "text.npy", "--out", out), "cannot read"),
        (("encode", native, tmp_path / "none.npy", "--out", out), "cannot read"),
        (("encode", native, y, "--with-scale", "--out", out), "--with-scale"),
        (("decode", native, short, "--out", out), "short.bin"),
        (("decode", native, odd, "--raw", "--out", out), "2 users with 1 bytes"),
        (("decode", native, payload, "--reference", few, "--out", out), "is right"),
        (("decode", native, payload, "--domain", "frequency", "--out", out), "--domain"),
        (("encode", damaged, y, "--out", out), "K <= M / N"),
        (("validate", native, "--reference", h), "--reference"),
    ):
        result = run(*command)
        assert result.exit_code == 2, (command, result.stdout)
        (line,) = result.stderr.splitlines()
        assert says in line, line
        assert not out.exists()
