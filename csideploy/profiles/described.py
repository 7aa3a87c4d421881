"""A profile in the manifest of a link package: what is written there, and what a reader checks.

The object `profile` has what both vendors of a two-sided link have to agree on. What can be derived
from the rest of the manifest is checked against it, so that a profile never says something else
than the payload that is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from csideploy.errors import FormatError, InputError
from csideploy.payload import Layout
from csideploy.profiles import r20_case0 as rules
from csideploy.profiles.r20_case0 import Pair
from csideploy.profiles.report_bits import CQI_BITS, RI_BITS, ReportLayout
from csideploy.registry import ANGLES

_DIGITS = set("0123456789abcdef")
_FIELDS = ("cri_bits", "ri_bits", "cqi_bits")
_KEYS = (
    *("release", "status", "reading", "pairing_id", "dataset_sha256", "dataset"),
    *("target_csi_domain", "ports", "n_subbands", "rank", "layer_payload_pairs", "sq_codebook"),
    *("bit_order", "perf_target_sgcs", "encoder_onnx_sha256", "decoder_onnx_sha256"),
    "report_fields",
)
"""Of the object, all of them and no others."""


def describe(
    layout: Layout,
    *,
    pairing_id: str,
    provenance: Mapping[str, Any],
    metrics: Mapping[str, Any],
    encoder_sha256: str,
    decoder_sha256: str,
) -> dict[str, Any]:
    """The object `profile` of a manifest.

    One encoder codes every layer of a report, a sample a layer, so all layers have its pair.

    Args:
        layout: of a sample's payload; `r20_case0.check_pair` has taken it.
        pairing_id: of the link.
        provenance: of the weights: a zoo card, or what a checkpoint says.
        metrics: measured ones; `sgcs` is the performance target of layer 1, if it is there.
        encoder_sha256: of the UE's ONNX file.
        decoder_sha256: of the BS's.
    """
    pair = Pair(layout.count, layout.bits)
    rank = rules.layers_of(pair)
    digest = _dataset(provenance)
    return {
        "release": rules.NAME,
        "status": rules.STATUS,
        "reading": rules.READING,
        "pairing_id": pairing_id,
        "dataset_sha256": digest,
        "dataset": "the training samples" if digest else "unknown: these weights do not say",
        "target_csi_domain": f"{rules.CARRIED} (reported scope: {rules.SCOPE})",
        "ports": ANGLES,
        "n_subbands": None,
        "rank": rank,
        "layer_payload_pairs": [list(pair)] * rank,
        "sq_codebook": list(rules.CODEBOOKS[pair.bits]),
        "bit_order": rules.BIT_ORDER,
        "perf_target_sgcs": _target(metrics),
        "encoder_onnx_sha256": encoder_sha256,
        "decoder_onnx_sha256": decoder_sha256,
        "report_fields": {"cri_bits": 0, "ri_bits": RI_BITS, "cqi_bits": CQI_BITS},
    }


def _dataset(provenance: object) -> str | None:
    """SHA-256 of the training samples as the weights say; None where they do not."""
    digest = section(about(provenance), "data").get("sha256")
    return str(digest) if _is_digest(digest) else None


def _target(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The measured SGCS as that of layer 1; None where there is none."""
    target = {"1": metrics.get("sgcs")}
    return target if _is_target(target) else None


def about(provenance: object) -> Mapping[str, Any]:
    """What is known about a link's training: the zoo's card, or a checkpoint's own words."""
    known = provenance if isinstance(provenance, Mapping) else {}
    return section(known, "card") or known


def section(known: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object in it; empty where there is none, since nobody checks what a card says."""
    found = known.get(key)
    return found if isinstance(found, Mapping) else {}


def report_layout(profile: Mapping[str, Any], rank: int) -> ReportLayout:
    """The report of some layers.

    Args:
        profile: the manifest's object.
        rank: layers of a report.

    Raises:
        InputError: the profile has not so many layers.
    """
    pairs = [Pair(*own) for own in profile["layer_payload_pairs"]]
    if not 1 <= rank <= len(pairs):
        raise InputError(
            f"--rank {rank}: with the pair {pairs[0]} a report has 1 to {len(pairs)} layers"
        )
    return ReportLayout(tuple(pairs[:rank]), **profile["report_fields"])


def check_manifest(manifest: Mapping[str, Any], path: Path) -> None:
    """A manifest's `profile` must be whole and say what the rest of the manifest says.

    Args:
        manifest: whose payload has been checked.
        path: of the manifest, for messages.

    Raises:
        FormatError: it is not, or does not.
    """
    profile, payload = manifest["profile"], manifest["payload"]
    if "kind" in manifest or payload is None or "budgets" in manifest:
        raise FormatError(f"{path} has a 'profile', which goes with one payload of CSI feedback")
    if not isinstance(profile, dict) or profile.get("release") != rules.NAME:
        raise FormatError(f"{path} has a 'profile' that is not of {rules.NAME}; export it again")
    wrong = [f"lacks {key}" for key in _KEYS if key not in profile]
    wrong += [f"has {key!r}, which is none of its keys" for key in profile if key not in _KEYS]
    if wrong:
        raise FormatError(f"{path}: the profile {'; '.join(wrong)}; export the package again")
    own = Layout.uniform(payload["count"], payload["bits"])
    try:
        if "widths" in payload:
            raise InputError("its codes have widths of their own")
        pair = rules.check_pair(own.count, own.bits, manifest.get("quantizer"))
    except InputError as error:
        raise FormatError(f"{path}: profile and payload contradict each other: {error}") from error
    rank = rules.layers_of(pair)
    derived: dict[str, Any] = {
        "pairing_id": manifest["pairing_id"],
        "rank": rank,
        "layer_payload_pairs": [list(pair)] * rank,
        "sq_codebook": list(rules.CODEBOOKS[pair.bits]),
        "bit_order": rules.BIT_ORDER,
        "ports": ANGLES,
    }
    # Nobody has to say these two; where the weights do, the profile says the same.
    dataset, target = _dataset(manifest.get("provenance")), _target(section(manifest, "metrics"))
    if dataset is not None:
        derived["dataset_sha256"] = dataset
    if target is not None:
        derived["perf_target_sgcs"] = target
    for side, key in (("ue", "encoder_onnx_sha256"), ("bs", "decoder_onnx_sha256")):
        entry = manifest["files"].get(f"{side}.onnx")
        if isinstance(entry, dict):
            derived[key] = entry.get("sha256")
    for key, value in derived.items():
        # As text: to Python 64.0 and True are numbers like others.
        if json.dumps(profile.get(key)) != json.dumps(value):
            raise FormatError(
                f"{path}: the profile's {key} is {profile.get(key)!r}, and {value!r} by the rest "
                "of the manifest; export the package again"
            )
    for key, right, says in _loose(profile):
        if not right:
            raise FormatError(f"{path}: the profile's {key} is {profile.get(key)!r}; {says}")


def _loose(profile: Mapping[str, Any]) -> list[tuple[str, bool, str]]:
    """What nothing else in the manifest says: key, whether it may be so, what would be right."""
    dataset, bands = profile.get("dataset_sha256", ...), profile.get("n_subbands", ...)
    target, sizes = profile.get("perf_target_sgcs", ...), ", ".join(_FIELDS)
    digits = "64 hexadecimal digits are right"
    return [
        *(
            (key, isinstance(profile.get(key), str), "text is right")
            for key in ("status", "reading", "dataset", "target_csi_domain")
        ),
        ("dataset_sha256", dataset is None or _is_digest(dataset), f"null or {digits}"),
        *(
            (key, _is_digest(profile.get(key)), digits)
            for key in ("encoder_onnx_sha256", "decoder_onnx_sha256")
        ),
        ("n_subbands", bands is None or _is_bands(bands), "null or 1 to 19"),
        ("perf_target_sgcs", _is_target(target), "null or layer: 0 to 1"),
        ("report_fields", _are_fields(profile), f"{sizes}: widths of 0 to 16 that hold the rank"),
    ]


def _are_fields(profile: Mapping[str, Any]) -> bool:
    fields = profile.get("report_fields")
    if not isinstance(fields, dict) or set(fields) != set(_FIELDS):
        return False
    if not all(type(width) is int for width in fields.values()):
        return False
    try:
        report_layout(profile, profile["rank"])
    except InputError:
        return False
    return True


def _is_bands(value: object) -> bool:
    return type(value) is int and 1 <= value <= rules.MOST_SUBBANDS


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= _DIGITS


def _is_target(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict):
        return False
    return all(
        layer in ("1", "2", "3", "4") and type(sgcs) in (int, float) and 0 <= sgcs <= 1
        for layer, sgcs in value.items()
    )
