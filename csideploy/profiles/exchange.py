"""What the two vendors of a link would exchange, in bits; and the sizes of its reports.

Two of the options that companies discuss for two-sided CSI compression [S, tdoc digests of
RAN1#118bis and #119]: 3a, the encoder's parameters go from the network's vendor to the UE's; 4-1, a
data set of pairs {target CSI, CSI feedback} does. A company gave about 192 to 256 Mbit for 3a-1 and
100 to 150 Mbit for 4-1 [S, LG]; those are other networks and another target CSI.
"""

from __future__ import annotations

from typing import Any

from csideploy.package import LinkPackage
from csideploy.profiles import r20_case0 as rules
from csideploy.profiles.described import about, report_layout, section
from csideploy.registry import ELEMENTS

COMPANY = "a company's figures: 3a-1 about 192 to 256 Mbit, 4-1 about 100 to 150 Mbit [S]"
SAMPLES = 100_000
"""Samples of a data set, where the weights do not say how many they were trained on."""


def figures(package: LinkPackage, *, parameters: int, bundle_bytes: int) -> dict[str, Any]:
    """The object `profile` of a report.

    Args:
        package: exported with a profile.
        parameters: of the encoder.
        bundle_bytes: of the encoder's bundle.
    """
    profile = package.manifest["profile"]
    onnx_bytes = section(package.manifest["files"], "ue.onnx").get("bytes")
    known = section(about(package.manifest.get("provenance")), "data").get("samples")
    samples = known if type(known) is int and known > 0 else SAMPLES
    (layout,) = package.layouts
    feedback = layout.code_bits
    return {
        "release": profile["release"],
        "status": profile["status"],
        "reading": rules.READING,
        "target_csi_domain": profile["target_csi_domain"],
        "dataset_sha256": profile["dataset_sha256"],
        "perf_target_sgcs": profile["perf_target_sgcs"],
        "reports": [
            report_layout(profile, rank).figures() for rank in range(1, profile["rank"] + 1)
        ],
        "exchange": {
            "source": "options as tdoc digests report them [S]",
            "3a": {
                "what": "parameters of the encoder",
                "onnx_bits": 8 * onnx_bytes if type(onnx_bytes) is int else None,
                "bundle_bits": 8 * bundle_bytes,
                "float32_bits": 32 * parameters,
            },
            "4-1": {
                "what": "pairs {target CSI, CSI feedback}",
                "samples": samples,
                "samples_are": "of the training" if samples == known else "assumed",
                "float16_bits": samples * (16 * ELEMENTS + feedback),
                "float32_bits": samples * (32 * ELEMENTS + feedback),
            },
            "company": COMPANY,
        },
    }


def lines(profile: dict[str, Any]) -> list[str]:
    """The same for people, one line a fact."""
    own = [
        f"Profile {profile['release']}: {profile['status']}; {profile['reading']}.",
        f"Its target CSI: {profile['target_csi_domain']}.",
    ]
    for report in profile["reports"]:
        own.append(
            f"Report of rank {report['rank']}: part 1 {report['part1_bits']} bits, part 2 "
            f"{report['part2_bits']:,} bits (group 1 {report['group1_bits']}, group 2 "
            f"{report['group2_bits']}), {report['bits']:,} in all, "
            f"{report['bits_with_crc']:,} with check bits [M]."
        )
    encoder, data = profile["exchange"]["3a"], profile["exchange"]["4-1"]
    onnx = "" if encoder["onnx_bits"] is None else f"{_mbit(encoder['onnx_bits'])} as ONNX, "
    own.append(
        f"Exchange, option 3a (encoder's parameters) [S]: {onnx}{_mbit(encoder['bundle_bits'])} as "
        f"a bundle, {_mbit(encoder['float32_bits'])} as float32."
    )
    own.append(
        f"Exchange, option 4-1 (target CSI and feedback) [S]: {_mbit(data['float16_bits'])} as "
        f"float16, {_mbit(data['float32_bits'])} as float32, for {data['samples']:,} samples "
        f"({data['samples_are']}); {profile['exchange']['company']}."
    )
    return own


def _mbit(bits: int) -> str:
    """Mbit = 1,000,000 bits."""
    return f"{bits / 1e6:,.2f} Mbit"
