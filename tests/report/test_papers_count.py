"""What `report` says of a bundle, reconciled with the table of paper 002 row by row."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "systems"))

from test_sizes import ACRNET, MILLION

from csideploy import systems
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.torch_onnx import export_part
from csideploy.report import footprint
from csideploy.report.papers_count import lines, papers_count

# cr, k, binarize: every compression, widths from the least to the most, both kinds of 1-bit layer.
BUILT = [
    (4, 1, "none"),
    (8, 10, "encoder"),
    (16, 1, "both"),
    (32, 20, "encoder"),
    (64, 20, "none"),
]


def exported(name: str, cr: int, binarize: str) -> list[bytes]:
    """Both bundles, random weights, batch norm away from the identity, through the real path."""
    torch.manual_seed(cr)
    link = systems.build(name, cr=cr, bits=4, binarize=binarize)
    for module in link.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    bundles = []
    for side, module, part in (("ue", link.encoder, "encoder"), ("bs", link.decoder, "decoder")):
        model = export_part(module, side, bits=4, features=2048 // cr)
        bundles.append(write_bundle(compile_model(model, part=part, side=side)))
    return bundles


@pytest.mark.parametrize(("cr", "k", "binarize"), BUILT)
def test_bundles_have_the_papers_sizes(cr: int, k: int, binarize: str) -> None:
    (row,) = [row for row in ACRNET if row[:2] == (cr, k)]
    _, _, macs, encoder, decoder, encoder1, decoder1 = row
    name = f"{'acrnet' if binarize == 'none' else 'bacrnet'}{k}x"
    sides = footprint.of_bundles(exported(name, cr, binarize))["sides"]
    assert round((sides["ue"]["macs"] + sides["bs"]["macs"]) / MILLION, 3) == macs

    for side, paper in (("ue", encoder), ("bs", decoder)):
        layers = sides[side]["layers"]
        # Gamma and beta of each output became one bias; a 1-bit layer has a scale besides. The
        # output of an FC is (n, M): all of rank 4 that multiply are convolutions with batch norm.
        # A block has three, two of them with 8 k outputs.
        folded = sum(
            layer["output_shape"][1] + (2 * 8 * k if layer["op"] == "CONV_BLOCK" else 0)
            for layer in layers
            if layer["op"] in ("CONV2D", "CONV_BLOCK")
        )
        scales = sum(layer["op"] == "BINARY_LINEAR" for layer in layers)
        assert sides[side]["parameters"] + folded - scales == paper
        assert scales == (binarize == "both" or (binarize == "encoder" and side == "ue"))

    counted = papers_count({"system": name, "cr": cr, "binarize": binarize}, sides)
    assert counted is not None
    packed = {"ue": encoder, "bs": decoder}
    if binarize != "none":
        packed["ue"] = encoder1
    if binarize == "both":
        packed["bs"] = decoder1
    assert {side: own["parameters_packed"] for side, own in counted.items()} == packed
    assert {side: own["parameters"] for side, own in counted.items()} == {
        "ue": encoder,
        "bs": decoder,
    }
    text = " ".join(lines(counted))
    for number in (encoder, decoder, *packed.values()):
        assert f"{number:,}" in text


def test_another_network_gets_no_papers_figures() -> None:
    manifest = {"system": "acrnet1x", "cr": 4, "binarize": "none"}
    sides = {"ue": {"macs": 1_298_432}, "bs": {"macs": 3_346_432}}
    assert papers_count(manifest, sides) is not None
    assert papers_count(manifest, {**sides, "bs": {"macs": 3_346_433}}) is None
    assert papers_count({**manifest, "system": "mine"}, sides) is None
