"""A trained link as a zoo entry."""

from pathlib import Path

import pytest

from csideploy import zoo
from csideploy.training import load_checkpoint, train
from csideploy.training.evaluate import measure
from csideploy.training.publish import publish


def test_published_files_do_what_the_link_does(
    csi_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"cr": 64, "recipe": "zoo-cpu", "epochs": 0.2, "batch": 16, "bits": 3}
    run = train("bacrnet1x", data=csi_file, out=tmp_path / "run", quiet=True, **options)  # type: ignore[arg-type]
    folder = tmp_path / "zoo"
    entry = publish(run.weights, folder, test_data=csi_file, command="retrain it")
    assert entry.name == "bacrnet1x-cr64-b3"
    monkeypatch.setenv(zoo.FOLDER_VARIABLE, str(folder))
    card = zoo.find("bacrnet1x", cr=64, bits=3).card
    link, metadata = load_checkpoint(run.weights)
    expected = measure(link, csi_file)
    # The decoder's weights are rounded to fp16: an error of -66 dB beside one of some -1 dB.
    assert card["metrics"]["nmse_db"] == pytest.approx(expected["nmse_db"], abs=0.01)
    assert card["metrics"]["sgcs"] == pytest.approx(expected["sgcs"], abs=1e-3)
    assert card["recipe"] == metadata["recipe"]
    assert card["command"] == "retrain it"
    # Again, over the old entry.
    assert publish(run.weights, folder, test_data=csi_file, command="other") == entry
    assert zoo.entries()[0].card["command"] == "other"
    assert [path.name for path in folder.iterdir()] == [entry.name]
