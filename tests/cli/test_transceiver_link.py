"""Transceivers through the command line: packages, payloads, checks, reports, the zoo."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the weights of these tests are a torch network's")

from small_transceiver import small_users, small_weights

from csideploy import zoo as zoo_folder
from csideploy.errors import InputError
from csideploy.training.publish_transceiver import entry_name, publish
from csideploy.transceiver.setup import Setup
from csideploy.transceiver.users import save_users
from csideploy.transceiver.weights import load_weights, save_weights

from .conftest import Run


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and users."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "run").mkdir()
    save_weights(folder / "run" / "weights.safetensors", small_weights())
    save_users(folder / "users.npz", small_users())
    return folder


@pytest.fixture(scope="module")
def package(run: Run, place: Path) -> Path:
    done = run("export", "--checkpoint", place / "run", "--bits", "3,8,11", "--max-users", 4,
               "--out", place / "P")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "3, 8, 11 bits a user, 1 to 4 users" in done.stderr
    assert "ue-quantizer-b11.csib" in done.stderr
    return place / "P"


def test_users_to_precoders(run: Run, package: Path, place: Path, tmp_path: Path) -> None:
    done = run("encode", package, place / "users.npz", "--snr", 10, "--users", 3, "--bits",
               "3,11,8", "--samples", 40, "--seed", 2, "--out", tmp_path / "p.bin")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "40 groups of 3 users, 3, 11, 8 bits" in done.stderr
    assert "scaled to unit mean power; groups drawn with seed 2" in done.stderr
    done = run("decode", package, tmp_path / "p.bin", "--snr", 10, "--reference",
               place / "users.npz", "--seed", 2, "--out", tmp_path / "W.npy", "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["shape"] == [40, 3, 4]
    assert result["bits"] == [3, 11, 8]
    assert 0.1 < result["sum_rate"] < 10
    assert np.load(tmp_path / "W.npy").shape == (40, 3, 4)
    done = run("decode", package, tmp_path / "p.bin", "--snr", 10, "--reference",
               place / "users.npz", "--seed", 2, "--out", tmp_path / "W.npy")  # fmt: skip
    assert f"Sum rate {result['sum_rate']:.3f} +- " in done.stdout
    assert "3, 11, 8 bits" in done.stdout


def test_validate_and_report(run: Run, package: Path) -> None:
    done = run("validate", package, "--samples", 3)
    assert done.exit_code == 0, done.stderr + done.stdout
    assert "Sum rates by our runtime" in done.stdout
    done = run("report", package, "--rounds", 2, "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["sides"]) == {
        "ue", "bs", *(f"{s}-quantizer-b{b}" for s in ("ue", "bs") for b in (3, 8, 11))
    }  # fmt: skip
    rows = result["transceiver"]["users"]
    assert [row["users"] for row in rows] == [1, 2, 3, 4]
    macs = [row["bs_macs"] for row in rows]
    assert macs == sorted(macs)
    assert macs[-1] == result["sides"]["bs"]["macs"]
    assert result["transceiver"]["ue_macs"] == (
        result["sides"]["ue"]["macs"] + result["sides"]["ue-quantizer-b11"]["macs"]
    )
    # Of four users: 4 features of 8 numbers and an SNR in, 4 x 4 pairs out.
    assert result["sides"]["bs"]["input_bytes"] == 4 * (4 * 8 + 1)
    assert result["sides"]["bs"]["output_bytes"] == 4 * 4 * 4 * 2
    for form in ("table", "markdown"):
        done = run("report", package, "--rounds", 2, "--format", form)
        assert done.exit_code == 0, done.stderr
        assert "Users, 11 bits each" in done.stdout
        assert "ue-quantizer-b3" in done.stdout


def test_single_parts_run(run: Run, package: Path, tmp_path: Path) -> None:
    done = run("inspect", package / "bs.csib", "--json")
    assert json.loads(done.stdout)["k_max"] == 4
    rng = np.random.default_rng(1)
    np.savez(
        tmp_path / "in.npz",
        feature=rng.uniform(-1, 1, (5, 3, 8)).astype(np.float32),
        snr_db=np.full((5, 1), 10, np.float32),
    )
    done = run("run", package / "bs.csib", tmp_path / "in.npz", "--out", tmp_path / "W.npy")
    assert done.exit_code == 0, done.stderr
    assert np.load(tmp_path / "W.npy").shape == (5, 3, 4, 2)
    done = run("compile", package / "bs.onnx", "--max-users", 6, "--out", tmp_path / "six.csib")
    assert done.exit_code == 0, done.stderr
    done = run("inspect", tmp_path / "six.csib", "--json")
    assert json.loads(done.stdout)["k_max"] == 6


def test_integers_need_users(run: Run, place: Path, tmp_path: Path) -> None:
    options = ("export", "--checkpoint", place / "run", "--bits", "8", "--max-users", 3,
               "--out", tmp_path / "P")  # fmt: skip
    done = run(*options, "--precision", "int8")
    assert done.exit_code == 2
    assert "--precision int8 needs --calibration F" in done.stderr
    done = run(*options, "--precision", "int8", "--calibration", place / "users.npz")
    assert done.exit_code == 0, done.stderr
    assert "bs: int8, " in done.stderr
    done = run("validate", tmp_path / "P", "--samples", 2)
    assert done.exit_code == 0, done.stderr + done.stdout


BAD = {
    ("export", "--checkpoint", "RUN", "--bits", "0"): "--bits 0: whole numbers from 1",
    ("export", "--checkpoint", "RUN", "--bits", "64"): "1 to 63",
    ("export", "--checkpoint", "RUN", "--bits", "float"): "--bits float",
    ("export", "--checkpoint", "RUN", "--max-users", "65"): "--max-users 65: 1 to 64",
    ("export", "--checkpoint", "RUN", "--set", "codebooks=x"): "codebooks=features or",
    ("export", "--checkpoint", "RUN", "--set", "rus=8"): "codebooks=features or",
    ("export", "--checkpoint", "RUN", "--cr", "4"): "--cr goes with other systems",
    ("export", "--checkpoint", "RUN", "--table", "auto"): "--table goes with other systems",
    ("export", "--checkpoint", "RUN", "--calibration", "USERS"): "add --precision int8",
    ("export", "--model", "bacrnet1x", "--max-users", "4"): "--max-users goes with transceivers",
    ("encode", "P", "USERS"): "add --snr dB",
    ("encode", "P", "USERS", "--snr", "10", "--bits", "5"): "--bits 5: the package has 3, 8, 11",
    ("encode", "P", "USERS", "--snr", "10", "--bits", "3,8"): "one of each of the 4 users",
    ("encode", "P", "USERS", "--snr", "10", "--bits", "x"): "--bits x",
    ("encode", "P", "USERS", "--snr", "10", "--users", "5"): "this package takes 1 to 4",
    ("encode", "P", "USERS", "--snr", "99"): "--snr 99: dB",
    ("encode", "P", "USERS", "--snr", "10", "--with-scale"): "--with-scale goes with CSI feedback",
    ("encode", "P", "none.npz", "--snr", "10"): "none.npz",
    ("decode", "P", "USERS"): "--snr dB: the precoder is told",
    ("decode", "P", "USERS", "--snr", "10"): "no payload file",
    ("validate", "P", "--reference", "none.npz"): "none.npz",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_use(
    run: Run, package: Path, place: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    names = {"RUN": place / "run", "USERS": place / "users.npz", "P": package}
    out = () if words[0] == "validate" else ("--out", tmp_path / "out")
    done = run(*(names.get(word, word) for word in words), *out)
    assert done.exit_code == 2, done.stdout
    (line,) = done.stderr.strip().splitlines()
    assert BAD[words] in line
    assert not (tmp_path / "out").exists()


def test_other_kinds_take_no_groups(run: Run, package: Path, tmp_path: Path) -> None:
    done = run("decode", package, tmp_path / "x", "--domain", "angular", "--out", tmp_path / "y")
    assert done.exit_code == 2
    assert "--domain goes with CSI feedback" in done.stderr


def test_the_zoo(run: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = publish(place / "run", tmp_path / "zoo")
    assert entry.name == "rvq-egat-users-m4-l2-t4_4-anchored"
    card = json.loads((entry / "card.json").read_text())
    assert card["kind"] == "transceiver"
    assert card["setup"]["tiers"] == [4, 4]
    assert card["command"] == "csideploy train rvq-egat"
    published, trained = load_weights(entry), load_weights(place / "run")
    large = {k for k, v in trained.state.items() if "layers" in k and k.endswith("weight")}
    for name, values in trained.state.items():
        kind = np.float16 if name in large else np.float32
        np.testing.assert_array_equal(published.state[name], values.astype(kind), err_msg=name)
    np.testing.assert_array_equal(published.features, trained.features)
    monkeypatch.setenv(zoo_folder.FOLDER_VARIABLE, str(tmp_path / "zoo"))
    (found,) = zoo_folder.transceiver_entries()
    assert found.path == entry
    assert zoo_folder.entries() == []
    for name in ("rvq-egat", entry.name):
        done = run("export", "--model", name, "--bits", "6", "--out", tmp_path / name)
        assert done.exit_code == 0, done.stderr
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert manifest["provenance"]["entry"] == entry.name
    done = run("systems")
    assert done.exit_code == 0, done.stderr
    assert entry.name in " ".join(done.stdout.split())
    done = run("export", "--model", "rvq-egat-none", "--out", tmp_path / "none")
    assert done.exit_code == 2
    assert f"there is {entry.name}" in done.stderr
    data = entry / "weights.safetensors"
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    done = run("export", "--model", "rvq-egat", "--out", tmp_path / "none")
    assert done.exit_code == 2
    assert "is not the file of its card" in done.stderr


def test_a_card_has_what_the_bundles_reach(place: Path, tmp_path: Path) -> None:
    weights, users = small_weights(), place / "users.npz"
    with pytest.raises(InputError, match="not the users that trained these weights"):
        publish(place / "run", tmp_path / "zoo", data=users)
    weights.about["data"] = {"sha256": hashlib.sha256(users.read_bytes()).hexdigest()}
    weights.about["recipe"] = {"users": [2, 3]}
    save_weights(tmp_path / "weights.safetensors", weights)
    entry = publish(tmp_path / "weights.safetensors", tmp_path / "zoo", data=users)
    metrics = json.loads((entry / "card.json").read_text())["metrics"]
    rows = metrics["sum_rate"]
    assert [(row["users"], row["bits"]) for row in rows] == [(2, 4), (2, 8), (3, 4), (3, 8)]
    for row in rows:
        # Untrained networks: something, and less than zero forcing that knows the channels.
        assert 0.1 < row["sum_rate"] < row["zero_forcing"]
    # A tenth of 400 users, by distinct rows.
    assert metrics["test_users"] == 40


def test_systems_lists_sizes(run: Run) -> None:
    done = run("systems", "--json")
    rows = {
        row["form"]: row
        for row in json.loads(done.stdout)["transceivers"]
        if row["setup"]["antennas"] == 16
    }
    macs = rows["the paper's"]["parts"][2]["macs"]
    assert 0 < macs["3"] < macs["8"]


def test_names_of_entries() -> None:
    weights = small_weights(Setup(4, 1, 8, (4, 4), 2))
    assert entry_name(weights) == "rvq-egat-users-m4-t4_4-r2-anchored"
