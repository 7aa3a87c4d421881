"""What the rows of a 3GPP evaluation table say of a link in words: backbone, data, quantizer.

Only what the package itself says: the registry's families, the manifest, and the card or checkpoint
of its weights. What none of them says is None, an empty cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csideploy.package import LinkPackage
from csideploy.profiles.described import about, section
from csideploy.registry import ELEMENTS, SYSTEMS, SystemSpec

FAMILIES = {
    "acrnet": "CNN, ACRNet-{width}x",
    "csinet": "CNN, CsiNet",
    "crnet": "CNN, CRNet",
    "csinetpro": "CNN, CsiNet-Pro",
    "bcsinet": "CNN, BCsiNet with {width} refine blocks",
    "transnet": "Transformer, TransNet",
    "pca": "linear, principal components",
}
CSI = (
    "channel matrix of one receive antenna, angular-delay domain, 32 x 32 complex numbers of unit "
    "maximum (no eigenvectors by sub-band)"
)
BEFORE = "FFT to the angular-delay domain, first 32 delays kept, x = 0.5 + H / (2 max|H|)"
AFTER = "H = 2 (x - 0.5); zeros for the delays left out and FFT to subcarriers on request"


def backbone(link: LinkPackage, side: str) -> str:
    """`CNN, ACRNet-10x; fully connected layer of 1-bit weights; int8`."""
    m = link.manifest
    spec: SystemSpec | None = SYSTEMS.get(m["system"])
    if spec is None:
        words = m["system"]
    else:
        words = FAMILIES.get(spec.family, spec.name).format(width=spec.width)
    if m["binarize"] == "both" or (m["binarize"] == "encoder" and side == "ue"):
        words += "; fully connected layer of 1-bit weights"
    return f"{words}; int8" if link.name_of(side, "csib") != f"{side}.csib" else words


def sent(link: LinkPackage) -> str:
    """What the generation part does after its network."""
    kinds = {
        None: "none: floats are fed back",
        "uniform": "sigmoid, uniform scalar quantizer, bits packed",
        "round": "equal cells over the range of an output, bits packed",
        "codebook": "scalar codebook an output, bits packed",
        "vector": "nearest codeword of groups of outputs, bits packed",
    }
    return kinds[link.manifest.get("quantizer") if link.layouts else None]


def received(link: LinkPackage) -> str:
    """What the reconstruction part does before its network."""
    return "bits unpacked, values of the codes" if link.layouts else "none"


def quantization(link: LinkPackage) -> str:
    """Method, payload, and whether training knew of it."""
    if not link.layouts:
        return "none: floats are fed back"
    kind = link.manifest.get("quantizer")
    method = "VQ" if kind == "vector" else "SQ"
    payloads = " or ".join(
        f"{layout.count} codes, {layout.payload_bits:,} bits" for layout in link.layouts
    )
    if kind == "uniform":
        bits = link.layouts[-1].bits
        method += f", uniform, {bits} bits an output, values (code + 0.5) / {1 << bits}"
    elif kind == "codebook":
        method += f", a codebook an output, {link.budgets} bits an output on average"
    elif kind == "vector":
        method += ", codewords for groups of outputs"
    else:
        method += f", equal cells, {link.budgets} bits an output"
    return f"{method}; {payloads}; {_awareness(link) or 'training awareness not recorded'}"


def _awareness(link: LinkPackage) -> str | None:
    """Case 1, 2-1 or 2-2 by the recipe; None where none is recorded."""
    stages = section(_about(link), "recipe").get("stages")
    if not isinstance(stages, list) or not stages or not isinstance(stages[-1], Mapping):
        return None
    spec = SYSTEMS.get(link.manifest["system"])
    # The key is younger than some cards: all stages were trained through the quantizer then.
    through = stages[-1].get("feature", "quantized") == "quantized"
    if not through or (spec is not None and spec.family == "pca"):
        return "training not aware of it (Case 1 [M])"
    if link.manifest.get("quantizer") in ("codebook", "vector"):
        return "learned with the network (Case 2-2 [M])"
    return "fixed, in training (Case 2-1 [M])"


def ranks(link: LinkPackage) -> str:
    """What happens above rank 1."""
    profile = link.manifest.get("profile")
    if profile is None:
        return "rank 1: one sample is one layer"
    pairs = ", ".join(f"{{{m}, {q}}}" for m, q in profile["layer_payload_pairs"])
    return (
        f"layer-common: the same two parts for each layer, up to rank {profile['rank']}; pairs of "
        f"the layers {pairs}, {profile['release']}: {profile['status']}"
    )


def thousands(link: LinkPackage, key: str) -> float | None:
    """Samples / 1000 of the data that weights were trained or tested on.

    Args:
        link: the package.
        key: "data" or "test_data".
    """
    samples = section(_about(link), key).get("samples")
    if samples is None and key == "test_data":
        samples = section(link.manifest, "metrics").get("samples")
    if type(samples) is not int:
        return None
    return samples // 1000 if samples % 1000 == 0 else samples / 1000


def ground_truth(link: LinkPackage) -> str | None:
    """None where the weights do not say what they were trained on."""
    if not section(_about(link), "data"):
        return None
    return f"none; {ELEMENTS:,} numbers a sample, float16 as stored"


def ground_truth_saving(link: LinkPackage) -> str | None:
    """Of float16, in which training keeps every sample, against Float32."""
    return None if ground_truth(link) is None else "50 % (float16 as stored)"


def assumptions(link: LinkPackage) -> str | None:
    """Channels, as the card says."""
    words = []
    for key, what in (("data", "trained on"), ("test_data", "tested on")):
        data = section(_about(link), key)
        if data.get("scenario") not in (None, "unknown"):
            words.append(f"{what} generated {data['scenario']} channels, seed {data.get('seed')}")
    return "; ".join(words) or None


def _about(link: LinkPackage) -> Mapping[str, Any]:
    return about(link.manifest.get("provenance"))
