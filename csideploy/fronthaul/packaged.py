"""Decoders as a package's ONNX files hold them, for those who judge its bundles."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from csideploy.errors import FormatError, InputError
from csideploy.fronthaul.codebooks import NEURAL_METHODS, Codebooks
from csideploy.fronthaul.networks import Network
from csideploy.package import LinkPackage


def read_codebooks(package: LinkPackage) -> Codebooks:
    """The decoders in `ru-M.onnx`, and the search that the manifest names.

    Raises:
        FormatError: a file is damaged, or is no decoder of this package.
    """
    m, setup = package.manifest, package.fronthaul_setup()
    neural = m["system"] in NEURAL_METHODS
    tables, networks = [], []
    for stem in package.all_stems()[1:]:
        name = f"{stem}.onnx"
        if name not in m["files"]:
            raise FormatError(f"the package has no {name} to judge by: export it with onnx")
        stored = _stored(package.read(name), name)
        try:
            if neural:
                networks.append(_network(stored))
            else:
                pairs = stored["table"]
                tables.append(np.asarray(pairs[..., 0] + 1j * pairs[..., 1], np.complex64))
        except (KeyError, IndexError, ValueError, InputError) as error:
            raise FormatError(f"{package.path / name} holds no decoder: {error}") from error
    try:
        return Codebooks(
            m["system"],
            setup,
            tables=tuple(tables),
            networks=tuple(networks),
            iterations=m["iterations"],
            alpha=m["alpha"],
            eta=m["eta"],
            gamma_rounds=m["gamma_rounds"],
            about=m.get("provenance", {}),
        )
    except InputError as error:
        raise FormatError(f"{package.path}: {error}; export the package again") from error


def _stored(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    try:
        graph = onnx.load_model_from_string(data).graph
        return {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    except Exception as error:
        # protobuf's DecodeError shares no root with what onnx raises.
        raise FormatError(f"{name} is no ONNX file: {str(error).splitlines()[0]}") from error


def _network(stored: dict[str, NDArray[Any]]) -> Network:
    """Weights of `network_decoder_model`; its last rows go (re, im) by antenna."""
    layers = [k for k in range(1, 4) if f"weight{k}" in stored]
    weights, biases = ([stored[f"{kind}{k}"] for k in layers] for kind in ("weight", "bias"))
    rows = len(weights[-1])
    order = np.arange(rows).reshape(-1, 2).T.reshape(-1)
    weights[-1], biases[-1] = weights[-1][order], biases[-1][order]
    return Network(tuple(weights), tuple(biases))
