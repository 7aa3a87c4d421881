"""The zoo: how entries are found, and that every entry is what its card says."""

import hashlib
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from csideploy import registry, zoo
from csideploy.channels.umi_users import umi_users
from csideploy.downlink import Setup
from csideploy.downlink.export import PrecoderWanted, make_precoder
from csideploy.downlink.source import from_zoo
from csideploy.downlink.tables import pack_indices
from csideploy.errors import FormatError, InputError
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part
from csideploy.training.checkpoint import plain
from csideploy.training.transceiver_settings import assemble, parse_powers, parse_users
from csideploy.transceiver.evaluate_core import measure
from csideploy.transceiver.parts import Deployed
from csideploy.transceiver.schemes import Baselines
from csideploy.transceiver.user_set import Users
from csideploy.transceiver.weights import load_weights


def test_every_entry_is_what_its_card_says() -> None:
    entries = zoo.entries()
    assert {"bacrnet1x", "bacrnet10x", "bacrnet10x-both"} <= {entry.path.name for entry in entries}
    for entry in entries:
        card = entry.card
        spec = registry.get(card["system"])
        options = (card["cr"], card["bits"], card["binarize"])
        assert registry.check_options(spec, *options) == options
        assert entry.path.name == registry.entry_name(spec, *options, entry.quantizer)
        for name in entry.files:
            digest = hashlib.sha256((entry.path / name).read_bytes()).hexdigest()
            assert card["sha256"][name] == digest, f"{entry.path.name}/{name}"
        assert card["data"]["sha256"] != card["test_data"]["sha256"]
        assert card["data"]["seed"] != card["test_data"]["seed"]
        assert card["test_data"]["samples"] == card["metrics"]["samples"] == 20_000
        assert f"csideploy train {card['system']}" in card["command"]
        assert f"--seed {card['seed']}" in card["command"]
        assert not re.search(r"/(work|tmp|root|home)/", json.dumps(card))


def test_every_precoder_is_what_its_card_says() -> None:
    entries = zoo.precoder_entries()
    assert "kd-precoder-k2" in {entry.path.name for entry in entries}
    for entry in entries:
        card = entry.card
        setup = Setup(**card["setup"])
        for name in entry.files:
            zoo.checked_file(entry, name)
        assert f"csideploy train {card['system']}" in card["command"]
        assert f"--seed {card['seed']}" in card["command"]
        assert card["metrics"]["samples"] == 20_000
        assert not re.search(r"/(work|tmp|root|home)/", json.dumps(card))
        receiver, transmitter = (onnx.load(entry.path / name) for name in entry.files)
        (y,) = receiver.graph.input
        sizes = [dim.dim_value for dim in y.type.tensor_type.shape.dim[1:]]
        assert sizes == [setup.pilots, setup.streams, 2]
        names = [info.name for info in transmitter.graph.input]
        assert names == ["payload", "snr_db"][: 1 + isinstance(card["snr_db"], list)]


def test_the_table_of_a_trained_network_is_the_network(tmp_path: Path) -> None:
    """K = 2: all 4,096 payloads, to the bit; ONNX Runtime within 1e-6."""
    source = from_zoo("kd-precoder", 10.0)
    indices = np.array(list(itertools.product(range(64), repeat=2)))
    payload = pack_indices(source.setup, indices)
    v = {}
    for form in (None, "ordered-full-fp32", "sorted-full-fp32"):
        folder = tmp_path / str(form)
        make_precoder(source, PrecoderWanted(table=form), folder)
        (v[form],) = Part(folder / "bs.csib").run(payload)
    assert source.bs is not None
    theirs = Oracle(source.bs, name="bs.onnx").run(payload)["V"]
    # Columns of unit norm, sums of at most 1,280 products in float32.
    np.testing.assert_allclose(v[None], theirs, atol=1e-6)
    np.testing.assert_array_equal(v["ordered-full-fp32"], v[None])
    np.testing.assert_array_equal(v["sorted-full-fp32"], v[None])


def test_find_precoder() -> None:
    entry = zoo.find_precoder("kd-precoder")
    assert entry.path.name == "kd-precoder-k2"
    assert zoo.find_precoder("kd-precoder", {"users": 2}).path == entry.path
    with pytest.raises(InputError, match=r"users 3.*kd-precoder-k2"):
        zoo.find_precoder("kd-precoder", {"users": 3})


def test_a_one_bit_file_is_one_bit() -> None:
    # 128 KiB of bits, and convolutions, biases and the graph beside them.
    size = (zoo.find("bacrnet10x").path / "ue.onnx").stat().st_size
    assert 131_072 < size < 131_072 + 20_000


def test_find() -> None:
    assert zoo.find("bacrnet1x").path.name == "bacrnet1x"
    assert zoo.find("bacrnet1x", cr=4, bits=4, binarize="encoder").path.name == "bacrnet1x"
    for arguments, says in (
        (("bacrnet1x", 8), "bacrnet1x-cr8"),
        (("bacrnet1x", 4, 2), "there is bacrnet1x"),
        (("csinet",), "none of csinet"),
        (("resnet",), "unknown system"),
    ):
        with pytest.raises(InputError, match=says):
            zoo.find(*arguments)


def test_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = zoo.find("bacrnet1x").path
    monkeypatch.setenv(zoo.FOLDER_VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(InputError, match="absent"):
        zoo.find("bacrnet1x")
    monkeypatch.setenv(zoo.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match="none of bacrnet1x is there"):
        zoo.find("bacrnet1x")
    entry = tmp_path / "bacrnet1x"
    entry.mkdir()
    card = json.loads((source / zoo.CARD).read_text())
    for text, says in (
        ("{", "not a readable card"),
        (json.dumps({**card, "sha256": None, "metrics": None} | {"data": 1}), "without ue.onnx"),
        (json.dumps({"system": "bacrnet1x"}), "card without cr"),
        ("[]", "card without"),
    ):
        (entry / zoo.CARD).write_text(text)
        with pytest.raises(FormatError, match=says):
            zoo.entries()
    shutil.copytree(source, entry, dirs_exist_ok=True)
    assert zoo.find("bacrnet1x").path == entry


def test_registry_and_zoo_need_no_torch() -> None:
    program = (
        "import sys; from csideploy import registry, zoo; zoo.find('bacrnet1x');"
        "registry.macs(registry.get('crnet'), 4);"
        "assert not {'torch', 'onnx', 'onnxruntime', 'brevitas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_transceiver_entries_are_complete_and_serve_any_group():
    """Channels of no training, of another kind: they must still be served better than by LMMSE."""
    entries = zoo.transceiver_entries()
    assert entries
    for entry in entries:
        zoo.checked_file(entry, "weights.safetensors")
        weights = load_weights(entry.path)
        assert entry.card["setup"] == weights.setup.describe()
        assert "--seed" in entry.card["command"]
        running = Deployed(weights, [5, 10, 30], max_users=8)
        users = Users(*umi_light(weights.setup.antennas)).normalized()
        baselines = Baselines(users.h, weights.setup.pilots, kind="eigen")
        for k in (1, 3, 8):
            groups = users.draw(np.random.default_rng(k), 200, k)
            measured = measure(
                {"ours": running.link, "lmmse": baselines.scheme("zf-lmmse")},
                groups,
                10.0,
                bits=10,
                pilots=weights.setup.pilots,
                seed=k,
            )
            assert measured.average("ours").mean > (0 if k == 1 else measured.average("lmmse").mean)


def umi_light(antennas):
    """Channels, environments and regions of 1000 users of a light street canyon."""
    heard = umi_users("umi-light", antennas, 0, 10, 11)
    return heard.h, heard.environment, np.zeros(len(heard.h), np.uint8)


def test_large_matrices_of_weights_files_are_float16():
    """A hundred kB to a MB an entry; what a tie or a code depends on is float32."""
    for entry in (*zoo.fronthaul_entries(), *zoo.transceiver_entries()):
        data = zoo.checked_file(entry, zoo.FRONTHAUL_FILE)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        header.pop("__metadata__")
        for name, about in header.items():
            matrix = name.endswith(".weight") and len(about["shape"]) == 2
            large = matrix and np.prod(about["shape"]) >= 1024
            assert about["dtype"] == ("F16" if large else "F32"), f"{entry.path.name} {name}"


def test_the_zoo_is_small():
    """It comes with every checkout."""
    assert sum(p.stat().st_size for p in zoo.folder().rglob("*") if p.is_file()) < 25_000_000


def test_transceiver_cards_say_what_trains_them_again():
    """The last command of a card, read as `train` reads it, is for these sizes and this recipe."""
    for entry in zoo.transceiver_entries():
        last = entry.card["command"].split(" && ")[-1]
        given: dict[str, list[str]] = {}
        words = iter(shlex.split(last)[3:])
        for word in words:
            option, equals, value = word.partition("=")
            given.setdefault(option, []).append(value if equals else next(words))
        (snr,), (users,) = given.get("--snr", [None]), given.get("--users", [None])
        rate = given.get("--rate")
        setup, widths, recipe = assemble(
            given.get("--set", []),
            antennas=entry.card["setup"]["antennas"],
            recipe={
                "powers": parse_powers(snr),
                "users": parse_users(users),
                "steps": int(given["--iterations"][0]),
                "rate": None if rate is None else float(rate[0]),
            },
        )
        assert setup.describe() == entry.card["setup"]
        assert plain(widths.describe()) == entry.card["widths"]
        assert plain(recipe.describe()) == entry.card["recipe"]
        assert given["--seed"] == [str(entry.card["seed"])]
