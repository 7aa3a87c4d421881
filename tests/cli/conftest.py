"""A link package with untrained weights, made once through the real path from torch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from csideploy.channels.generate import generate
from csideploy.cli import app
from csideploy.link_export import Wanted, make_package
from csideploy.link_source import Bits, LinkSource

Run = Callable[..., Result]

WANTED = Wanted("bacrnet1x", None, Bits(), None, frozenset({"onnx", "bundle"}), False, 7)


@pytest.fixture(scope="session")
def source() -> LinkSource:
    """bacrnet1x at 1/4 and 4 bits, random weights, batch norm away from the identity."""
    torch = pytest.importorskip("torch", reason="weights of the test link come from torch")
    from csideploy.export.torch_onnx import export_part
    from csideploy.systems import build

    torch.manual_seed(3)
    link = build("bacrnet1x", cr=4, bits=4)
    for module in link.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    parts = {"ue": link.encoder, "bs": link.decoder}
    files = {
        side: export_part(part, side, bits=4, features=512).SerializeToString()
        for side, part in parts.items()
    }
    return LinkSource(
        system="bacrnet1x",
        cr=4,
        bits=4,
        binarize="encoder",
        ue=files["ue"],
        bs=files["bs"],
        scenario="indoor",
        provenance={"source": "test"},
        metrics={},
    )


@pytest.fixture(scope="session")
def package(source: LinkSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of that link. Tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("link") / "P"
    make_package(source, WANTED, folder)
    return folder


@pytest.fixture(scope="session")
def csi_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated indoor channels, 260 samples: more than one chunk."""
    path = tmp_path_factory.mktemp("csi") / "indoor.npz"
    made = generate("indoor", 260, seed=11)
    np.savez(path, H=made.H, sample_absmax=made.sample_absmax)
    return path


@pytest.fixture(scope="session")
def run() -> Run:
    """Calls the command line in this process; streams are kept apart."""
    runner = CliRunner()

    def invoke(*arguments: object) -> Result:
        return runner.invoke(app, [str(argument) for argument in arguments])

    return invoke
