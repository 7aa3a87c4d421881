"""The report as rows of the evaluation table of 3GPP RAN1, for one package.

Rows and their order are those of the template for two-sided CSI compression (RAN1#112 and 112bis-e,
used again in TR 38.843), from memory [M]. Only what was measured or is exact is filled in; other
cells are empty. Figures that the template has no row for stand in a table of their own behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from csideploy.errors import InputError
from csideploy.package import LinkPackage
from csideploy.report import evaluation_words as words
from csideploy.report import network_count
from csideploy.report.evaluation_gains import compare
from csideploy.report.evaluation_results import Row, left_out, result_rows
from csideploy.report.evaluation_text import as_rows, markdown

TEMPLATE = (
    "row names after the template of RAN1#112 and 112bis-e for CSI compression, from memory [M]: "
    "verify against TR 38.843 6.2.2"
)
NOTES = (
    "FLOPs = 2 x MACs + element-wise operations, of the network and its quantizer; pre-processing "
    "is not in them",
    "parameters are the numbers stored, a 1-bit weight counts as one; batch norm is folded",
    "storage is the bundle at its deployed precision, 1-bit and int8 weights packed; "
    "1 Mbyte = 1,000,000 bytes",
    "UPT is not simulated: its rows are empty",
    "payload bins X, Y, Z and training awareness Case 1 / 2-1 / 2-2 [M]",
    "[layer 1] alone: rows of further layers repeat these, and csideploy measures none",
)
GENERATION, RECONSTRUCTION = "CSI generation part", "CSI reconstruction part"
COMMON, DATASET = "Common description", "Dataset description"
OTHER = "[Other assumptions/settings agreed to be reported]"


def rows(
    result: dict[str, Any],
    link: LinkPackage,
    quality: Sequence[dict[str, Any]],
    *,
    as_csv: bool = False,
) -> str:
    """The table as text; its figures are added to the report as `3gpp`.

    Args:
        result: of `footprint.report`.
        link: the package.
        quality: objects that `evaluate --out` wrote, each with `rows`.
        as_csv: the rows alone, as comma-separated values; else Markdown with the appendix.

    Raises:
        InputError: the package is not of CSI feedback.
    """
    table = fill(result, link, quality)
    result["3gpp"] = table
    return as_rows(table) if as_csv else markdown(table)


def fill(
    result: dict[str, Any], link: LinkPackage, quality: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The figures: `template`, `column`, `rows`, `benchmark` by bin, `appendix`, `notes`.

    Raises:
        InputError: as `rows`.
    """
    check(link)
    counts = {side: _counts(result, side) for side in ("ue", "bs")}
    compared = compare(link, quality, ue_macs=result["sides"]["ue"]["macs"])
    notes = [*NOTES, *_remarks(compared, quality, result, link)]
    if "profile" in link.manifest:
        notes.append(f"{link.manifest['profile']['release']}: {link.manifest['profile']['status']}")
    notes += left_out(quality, link, ue_macs=result["sides"]["ue"]["macs"])
    own: list[Row] = [
        *_part(GENERATION, link, "ue", counts["ue"]),
        *_part(RECONSTRUCTION, link, "bs", counts["bs"]),
        (COMMON, "Input type", words.CSI),
        (COMMON, "Output type", words.CSI),
        (COMMON, "Quantization/dequantization method", words.quantization(link)),
        (COMMON, "Rank/layer adaptation settings for rank>1", words.ranks(link)),
        (DATASET, "Train/k", words.trained_on(link)),
        (DATASET, "Test/k", words.tested_on(link, compared)),
        (
            DATASET,
            "Ground-truth CSI quantization method (incl. scalar/codebook based, parameters)",
            words.ground_truth(link),
        ),
        (
            DATASET,
            "Overhead reduction compared to Float32 if high-resolution quantization of "
            "ground-truth CSI is applied",
            None,
        ),
        (OTHER, "", words.assumptions(link, compared)),
        *result_rows(compared, link),
        ("Notes", "", "; ".join([TEMPLATE, *notes])),
    ]
    return {
        "template": TEMPLATE,
        "column": f"csideploy: {link.name}",
        "rows": [{"part": part, "row": row, "value": value} for part, row, value in own],
        "benchmark": compared,
        "appendix": _appendix(result, counts),
        "notes": notes,
    }


def check(link: LinkPackage) -> None:
    """Whether the template is for this kind of package.

    Raises:
        InputError: it is not.
    """
    if "kind" in link.manifest:
        raise InputError(
            f"--format 3gpp: {link.path} is a {link.manifest['kind']} package, and the template is "
            "for CSI feedback: take table, json, markdown or html"
        )


def _counts(result: dict[str, Any], side: str) -> dict[str, int]:
    """Operations of one run: of several bit budgets the quantizer of the largest.

    With `network_` in front those of the network, whatever it runs in.
    """
    bits = result["latency"]["bits"]
    layers = [
        layer for layer in result["sides"][side]["layers"] if layer.get("budget", bits) == bits
    ]
    keys = ("macs", "binary_macs", "elementwise", "flops")
    data = result["sides"][side]
    counts = {key: sum(layer[key] for layer in layers) for key in keys} | {
        key: data[key] for key in ("parameters", "bundle_bytes", "arena_bytes")
    }
    for key, executed in network_count.EXECUTED.items():
        # Quantizers of other budgets run in fp32 at every precision.
        counts[key] = data.get(key, data[executed]) - (data[executed] - counts[executed])
    return counts


def _part(part: str, link: LinkPackage, side: str, counts: dict[str, int]) -> list[Row]:
    """Rows of one side; in the reconstruction part the template has brackets."""
    before, after = ("Pre-processing", "Post-processing")
    texts = (words.BEFORE, words.sent(link))
    if side == "bs":
        before, after = f"[{before}]", f"[{after}]"
        texts = (words.received(link), words.AFTER)
    return [
        (part, "AI/ML model backbone", words.backbone(link, side)),
        (part, before, texts[0]),
        (part, after, texts[1]),
        (part, "FLOPs/M", _millions(counts["network_flops"])),
        (part, "Number of parameters/M", _millions(counts["network_parameters"])),
        (part, "[Storage /Mbytes]", _millions(counts["bundle_bytes"])),
    ]


def _millions(number: int) -> float:
    return round(number / 1e6, 4)


def _remarks(
    compared: list[dict[str, Any]],
    quality: Sequence[dict[str, Any]],
    result: dict[str, Any],
    link: LinkPackage,
) -> list[str]:
    """Notes that depend on what there is."""
    made = [f"quality: {file.get('channels', 'a file of evaluate')}" for file in quality]
    for one in compared:
        if one["bits"] and one["benchmark"] and not one["comparable"]:
            made.append(
                f"{one['bin']}: no gain is claimed for {one['bits']} bits against the benchmark's "
                f"{one['benchmark_bits']}"
            )
    if any(one["benchmark"] and one["benchmark_nmse_db"] is None for one in compared):
        made.append("the benchmark sends directions and has no NMSE")
    if any(one["sgcs_gain_percent"] is not None for one in compared):
        made.append("gain for SGCS = ours / benchmark - 1")
    if any(one["sgcs_of"] == "sgcs_subband" for one in compared):
        made.append("SGCS by sub-band, the same vectors for benchmark and network")
    # By sub-band is what `evaluate` measures on the line of antennas that links see.
    if any(one["benchmark"] and one["benchmark_sgcs_subband"] is not None for one in compared):
        made.append(
            "the benchmark takes the halves of an array with one polarisation for polarisations"
        )
    if link.is_integer:
        sides = result["sides"].values()
        made.append(
            "FLOPs and parameters are the network's, as in fp32; what its integers execute is in "
            "the appendix"
            if all("network_flops" in side for side in sides)
            else "FLOPs and parameters are those of the integers that run: export again for the "
            "network's own"
        )
    if len(result["budgets"]) > 1:
        made.append(
            f"FLOPs with the quantizer of {result['latency']['bits']} bits; parameters and storage "
            "with those of all bit budgets"
        )
    return made


def _appendix(result: dict[str, Any], counts: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    """Figures without a row in the template: figure, unit, ue, bs."""
    float32 = {side: 4 * own["network_parameters"] for side, own in counts.items()}
    times = {side: result["sides"][side]["run_latency_s"]["median"] for side in counts}
    made: list[dict[str, Any]] = [
        {"figure": figure, "unit": unit, **{side: own[key] for side, own in counts.items()}}
        for figure, unit, key in (
            ("MACs", "", "network_macs"),
            ("FLOPs = 2 x MACs + element-wise", "", "network_flops"),
            ("parameters", "", "network_parameters"),
            ("MACs as executed", "", "macs"),
            ("MACs with 1-bit weights, as executed", "", "binary_macs"),
            ("element-wise operations, as executed", "", "elementwise"),
            ("FLOPs as executed", "", "flops"),
            ("numbers stored, as deployed", "", "parameters"),
            ("storage as deployed", "bytes", "bundle_bytes"),
            ("arena", "bytes", "arena_bytes"),
        )
    ]
    made.append({"figure": "storage of the parameters as float32", "unit": "bytes", **float32})
    made.append({"figure": f"latency, {result['latency']['where']}, median", "unit": "s", **times})
    before = result.get("preprocessing")
    if before:
        empty: dict[str, Any] = {"ue": None, "bs": None}
        own = {**empty, before["side"]: before["flops"]}
        made.append({"figure": f"FLOPs of {before['what']}", "unit": "", **own})
        own = {**empty, before["side"]: before["measured_s"]["median"]}
        made.append({"figure": "its time, measured on this host, median", "unit": "s", **own})
    return made
