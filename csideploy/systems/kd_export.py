"""The distilled precoder's two parts as ONNX files, payload at the ends.

The receiver ends like every encoder: a sigmoid, the uniform quantizer at one bit, packing. The
transmitter begins with the payloads of all users, whose bits it takes out by standard operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper

from csideploy.downlink import Setup
from csideploy.errors import InputError
from csideploy.export.functions import attach_functions
from csideploy.export.interface import BATCH, append_quantizer, store
from csideploy.export.torch_onnx import export_network
from csideploy.systems.kd_precoder import KdPrecoder

RECEIVER = "receiver"
TRANSMITTER = "bs"


def export_receiver(
    precoder: KdPrecoder, setup: Setup, *, user: int = 0, half_weights: bool = False
) -> ModelProto:
    """The part that runs at a user.

    Args:
        precoder: trained.
        setup: its sizes.
        user: whose receiver, where each has one of its own.
        half_weights: store large weights as fp16; the arithmetic stays fp32.

    Returns:
        y float32 (n, L, N, 2) -> codes uint8 (n, B), 1 where u >= 0, and payload uint8
        (n, ceil(B / 8)), MSB first. A u within 1e-7 below 0 may give a 1: its sigmoid is 1/2 in
        float32.

    Raises:
        InputError: a set-up that is not the precoder's, no such user.
        MissingDependencyError: onnxscript is not installed.
    """
    _check(precoder, setup)
    shape = (setup.pilots, setup.streams, 2)
    model = export_network(
        precoder.ue_module(user), {"y": shape}, "feature", RECEIVER, half_weights=half_weights
    )
    append_quantizer(model, 1)
    return _finished(model)


def export_transmitter(
    precoder: KdPrecoder,
    setup: Setup,
    *,
    snr_db: float | None = None,
    half_weights: bool = False,
) -> ModelProto:
    """The part that runs at the BS.

    Args:
        precoder: trained.
        setup: its sizes.
        snr_db: P in dB, put in as a constant, where P is an input of the transmitter.
        half_weights: as `export_receiver`.

    Returns:
        payload uint8 (n, K, ceil(B / 8)) [, snr_db float32 (n, 1)] -> V float32 (n, K, N, M, 2).
        The pad bits are ignored.

    Raises:
        InputError: a set-up that is not the precoder's, `snr_db` for a transmitter without P.
        MissingDependencyError: onnxscript is not installed.
    """
    _check(precoder, setup)
    inputs: dict[str, tuple[int, ...]] = {"bits": (setup.users, setup.bits)}
    if precoder.options.power_input and snr_db is None:
        inputs["snr_db"] = (1,)
    model = export_network(
        precoder.bs_module(snr_db), inputs, "V", TRANSMITTER, half_weights=half_weights
    )
    _prepend_bits(model, setup)
    return _finished(model)


def _check(precoder: KdPrecoder, setup: Setup) -> None:
    if precoder.setup != setup:
        raise InputError(f"the precoder was made for {precoder.setup}, not for {setup}")


def _finished(model: ModelProto) -> ModelProto:
    attach_functions(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _prepend_bits(model: ModelProto, setup: Setup) -> None:
    """Replace the input bits (n, K, B) by payload (n, K, bytes)."""
    users, width = setup.users, setup.payload_bytes
    shifts = store(model, "payload.shifts", np.arange(7, -1, -1, dtype=np.uint8))
    one = store(model, "payload.one", np.ones(1, np.uint8))
    apart = store(model, "payload.apart", np.array([0, users, width, 1], np.int64))
    rows = store(model, "payload.rows", np.array([0, users, 8 * width], np.int64))
    begin = store(model, "payload.begin", np.zeros(1, np.int64))
    end = store(model, "payload.end", np.array([setup.bits], np.int64))
    axis = store(model, "payload.axis", np.array([2], np.int64))
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Reshape", ["payload", apart], "bytes", {}),
        ("BitShift", ["bytes", shifts], "shifted", {"direction": "RIGHT"}),
        ("BitwiseAnd", ["shifted", one], "all_bits", {}),
        ("Reshape", ["all_bits", rows], "bit_rows", {}),
        ("Slice", ["bit_rows", begin, end, axis], "kept", {}),
        ("Cast", ["kept"], "bits", {"to": TensorProto.FLOAT}),
    ]
    nodes = [
        helper.make_node(kind, inputs, [output], name=f"payload.{output}", **attributes)
        for kind, inputs, output, attributes in steps
    ]
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    others = list(model.graph.input)[1:]
    del model.graph.input[:]
    payload = helper.make_tensor_value_info("payload", TensorProto.UINT8, [BATCH, users, width])
    model.graph.input.extend([payload, *others])
