"""Sizes against every figure that can be had, and the closed formula against torch's own count."""

from itertools import pairwise

import pytest
import torch

from csideploy import registry, systems
from csideploy.systems.link import count_macs, count_parameters

MILLION = 1_000_000

# cr, k, MACs in millions to three digits, encoder and decoder parameters, and both with a 1-bit
# FC: from the layers of paper 002, Fig. 4; they agree with every figure that its Tables I, III and
# IV print (2127K, 2136K, 34K/37K, 34K/57K, 17K/21K, 17K/41K, 9K/13K, 9K/33K, 2.2M MACs a width).
ACRNET = [
    (4, 1, 4.645, 1_049_362, 1_052_982, 33_554, 37_174),
    (4, 4, 11.231, 1_049_362, 1_059_702, 33_554, 43_894),
    (4, 8, 20.013, 1_049_362, 1_068_662, 33_554, 52_854),
    (4, 10, 24.404, 1_049_362, 1_073_142, 33_554, 57_334),
    (4, 12, 28.795, 1_049_362, 1_077_622, 33_554, 61_814),
    (4, 16, 37.577, 1_049_362, 1_086_582, 33_554, 70_774),
    (4, 20, 46.359, 1_049_362, 1_095_542, 33_554, 79_734),
    (8, 1, 3.596, 524_818, 528_694, 16_914, 20_790),
    (8, 10, 23.355, 524_818, 548_854, 16_914, 40_950),
    (8, 20, 45.310, 524_818, 571_254, 16_914, 63_350),
    (16, 1, 3.072, 262_546, 266_550, 8_594, 12_598),
    (16, 10, 22.831, 262_546, 286_710, 8_594, 32_758),
    (16, 20, 44.786, 262_546, 309_110, 8_594, 55_158),
    (32, 1, 2.810, 131_410, 135_478, 4_434, 8_502),
    (32, 10, 22.569, 131_410, 155_638, 4_434, 28_662),
    (32, 20, 44.524, 131_410, 178_038, 4_434, 51_062),
    (64, 1, 2.679, 65_842, 69_942, 2_354, 6_454),
    (64, 10, 22.438, 65_842, 90_102, 2_354, 26_614),
    (64, 20, 44.392, 65_842, 112_502, 2_354, 49_014),
]

# System, cr, encoder and decoder parameters as the system is by default, MACs of both parts in
# millions (CsiNet, CRNet: paper 002, Table I); None: no published figure.
BASELINES = [
    ("csinet", 4, 1_049_130, 1_053_986, 5.41),
    ("csinet", 8, None, None, 4.37),
    ("csinet", 16, None, None, 3.84),
    ("csinet", 32, None, None, 3.58),
    ("csinet", 64, None, None, 3.45),
    ("crnet", 4, 1_049_260, 1_053_578, 5.12),
    ("crnet", 8, None, None, 4.07),
    ("crnet", 16, None, None, 3.55),
    ("crnet", 32, None, None, 3.29),
    ("crnet", 64, None, None, 3.16),
    ("bcsinet-a2", 4, 33_320, None, None),
    ("bcsinet-a2", 8, 16_680, None, None),
    ("bcsinet-a2", 16, 8_360, None, None),
    ("bcsinet-a2", 32, 4_200, None, None),
    ("bcsinet-b3", 4, 33_360, None, None),
    ("bcsinet-b3", 8, 16_720, None, None),
    ("bcsinet-b3", 16, 8_400, None, None),
    ("bcsinet-b3", 32, 4_240, None, None),
    # No published figures for CsiNet-Pro and PCA: the layers of the docstrings, counted by hand.
    # 7x7 chain 49 (32 + 128 + 32 + 8) = 9800 weights a side, used at 1024 pixels; FC 2048 M.
    ("csinetpro", 4, 1_058_978, 1_060_510, 22.17),
    *[("csinetpro", cr, None, None, None) for cr in (8, 16, 32, 64)],
    ("pca", 4, 2048 * 512 + 512, 512 * 2048 + 2048, 2.10),
    ("pca", 8, 2048 * 256 + 256, 256 * 2048 + 2048, 1.05),
    *[("pca", cr, None, None, None) for cr in (16, 32, 64)],
    # TransNet as its paper describes it: each layer with its own weights.
    ("transnet", 4, None, None, 39.58),
    *[("transnet", cr, None, None, None) for cr in (8, 16, 32, 64)],
]


def counted(name: str, cr: int, binarize: str) -> tuple[dict[str, int], dict[str, int]]:
    """Parameters and MACs of a system's torch modules."""
    link = systems.build(name, cr=cr, binarize=binarize)
    samples = {"encoder": torch.rand(1, 2, 32, 32), "decoder": torch.rand(1, 2048 // cr)}
    parts = {"encoder": link.encoder, "decoder": link.decoder}
    return (
        {name: count_parameters(part) for name, part in parts.items()},
        {name: count_macs(part, samples[name]) for name, part in parts.items()},
    )


@pytest.mark.parametrize(("cr", "k", "macs", "encoder", "decoder", "encoder1", "decoder1"), ACRNET)
def test_acrnet_table(
    cr: int, k: int, macs: float, encoder: int, decoder: int, encoder1: int, decoder1: int
) -> None:
    float_sizes = {"encoder": encoder, "decoder": decoder}
    binary_sizes = {"encoder": encoder1, "decoder": decoder1}
    for name, binarize, expected in (
        (f"acrnet{k}x", "none", float_sizes),
        (f"bacrnet{k}x", "encoder", {"encoder": encoder1, "decoder": decoder}),
        (f"bacrnet{k}x", "both", binary_sizes),
    ):
        spec = registry.get(name)
        assert registry.parameters(spec, cr, binarize) == expected
        assert counted(name, cr, binarize) == (expected, registry.macs(spec, cr))
    total = sum(registry.macs(registry.get(f"acrnet{k}x"), cr).values())
    assert round(total / MILLION, 3) == macs


@pytest.mark.parametrize(("name", "cr", "encoder", "decoder", "macs"), BASELINES)
def test_baseline_sizes(
    name: str, cr: int, encoder: int | None, decoder: int | None, macs: float | None
) -> None:
    spec = registry.get(name)
    parameters = registry.parameters(spec, cr, spec.default_binarize)
    assert counted(name, cr, spec.default_binarize) == (parameters, registry.macs(spec, cr))
    if encoder is not None:
        assert parameters["encoder"] == encoder
    if decoder is not None:
        assert parameters["decoder"] == decoder
    if macs is not None:
        # Two digits after the point are printed.
        assert sum(registry.macs(spec, cr).values()) / MILLION == pytest.approx(macs, abs=0.0051)


def test_transnet_in_all() -> None:
    parameters = registry.parameters(registry.get("transnet"), 4, "none")
    assert sum(parameters.values()) == 3_257_984
    link = systems.build("transnet")
    assert sum(parameter.numel() for parameter in link.parameters()) == 3_257_984


def test_every_width_is_there_and_costs_the_same_more() -> None:
    sizes = [registry.macs(registry.get(f"bacrnet{k}x"), 4)["decoder"] for k in range(1, 21)]
    assert {after - before for before, after in pairwise(sizes)} == {2_195_456}


def test_share_of_the_encoder_fc() -> None:
    # Paper 002, section IV-B: 80.76 % of the encoder's complexity.
    share = 2048 * 512 / registry.macs(registry.get("acrnet1x"), 4)["encoder"]
    assert round(100 * share, 2) == 80.76
