"""First step of the Larq comparison: what a link package's UE encoder is made of, in one file.

    python benchmarks/larq/weights.py P --out ue-larq.npz [--csi F --samples 200]

P is a package with a 1-bit FC in integers (`export --precision int8` or `auto`). The file has the
folded convolutions, the FC's signs, scales and thresholds, inputs x, and our bundles: the encoder
in integers and in fp32, the decoder in fp32. The second step, `encoder.py`, runs where Larq is
installed: docs/larq.md.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from csideploy.channels.conventions import to_input
from csideploy.channels.files import read_csi
from csideploy.errors import CsideployError, InputError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.larq import larq_arrays
from csideploy.feedback import check_shape
from csideploy.outputs import file_aside
from csideploy.package import LinkPackage, open_package


def main() -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="a folder that `csideploy export` made")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--csi", type=Path, help="inputs; default: the package's golden vectors")
    parser.add_argument("--samples", type=int, default=200, help="at most, of --csi")
    options = parser.parse_args()
    try:
        arrays = collect(open_package(options.package), options.csi, options.samples)
        with file_aside(options.out) as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
    except CsideployError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    planes = 8 * np.dtype(str(arrays["fc.x_type"])).itemsize
    outputs, inputs = arrays["fc.signs"].shape
    print(
        f"{options.out}: FC {inputs} -> {outputs} of {arrays['fc.x_type']} codes, {planes} planes, "
        f"{len(arrays['x'])} inputs"
    )
    return 0


def collect(package: LinkPackage, csi: Path | None, samples: int) -> dict[str, NDArray[Any]]:
    """All arrays: those of `larq_arrays`, `x`, `bundle`, `float.bundle`, `decoder.bundle`."""
    if package.is_precoder or package.is_fronthaul or package.is_transceiver:
        raise InputError(f"{package.path}: a Larq model is made of a CSI feedback encoder")
    if samples < 1:
        raise InputError(f"--samples {samples}: at least one")
    bundle = package.read(package.name_of("ue", "csib"))
    network, decoder = (
        compile_model(onnx.load_from_string(package.read(f"{side}.onnx")), part=part, side=side)
        for side, part in (("ue", "encoder"), ("bs", "decoder"))
    )
    arrays = larq_arrays(network, read_bundle(bundle))
    if csi is None:
        with np.load(io.BytesIO(package.read("vectors.npz")), allow_pickle=False) as vectors:
            x = vectors["x"]
    else:
        h = read_csi(csi).h
        check_shape(h.shape, network.tensors[network.inputs[0]].shape)
        # Samples of one environment stand together: evenly spaced ones are of many.
        x, _ = to_input(h[:: -(-len(h) // samples)])
    return {
        **arrays,
        "x": x.astype(np.float32),
        "bundle": np.frombuffer(bundle, np.uint8),
        "float.bundle": np.frombuffer(write_bundle(network), np.uint8),
        "decoder.bundle": np.frombuffer(write_bundle(decoder), np.uint8),
    }


if __name__ == "__main__":
    sys.exit(main())
