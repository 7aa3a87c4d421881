"""W1 and W2: CSI feedback's encoder at the UE and decoder at the BS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import peers
from benchmarks.rows.context import Context, file_name
from benchmarks.rows.low_bit import low_bit_forms
from benchmarks.rows.measure import OURS, Call, Check, Cold, Peer, Row, in_python
from benchmarks.rows.roofline import work_of
from csideploy.bench import our_call
from csideploy.channels.conventions import from_input
from csideploy.metrics import nmse, to_db
from csideploy.runtime import Part

Array = NDArray[Any]
ORT, ORT_LOW = "onnxruntime fp32", "onnxruntime low-bit"
VINO, VINO_FLOAT = "openvino int8", "openvino float"
SIGMOID = "onnxruntime to sigmoid"
"""Its quantizing and packing are small operators, one by one; this is without them."""
LEAST_RIGHT = 0.1
"""Relative error of a low-bit peer's features; coarser ones do not count."""
MANY = 64
"""UEs of a call of W2b."""
CODE_SHARE = 0.01
LOSS_DB = 0.1
BAND = 1e-5
"""Sums in another order move a feature by less."""


def _part(context: Context, precision: str, side: str) -> tuple[Part, bytes]:
    package = context.package(precision)
    data = package.read(file_name(package, side, "csib"))
    return Part(data), data


def _off(codes: Array, others: Array) -> tuple[float, int]:
    """Share of codes that differ, and by how much at most."""
    apart = np.abs(codes.astype(int) - others.astype(int))
    return float((apart > 0).mean()), int(apart.max())


def w1(context: Context) -> list[Row]:
    """The encoder in fp32: not one code differs but for those within `BAND` of a threshold."""
    part, data = _part(context, "fp32", "ue")
    model = context.package("fp32").read("ue.onnx")
    x = context.x[:1]
    call, _ = peers.onnxruntime_call(model, x)
    session = peers.onnxruntime_session(_exposed(model, "feature"))
    feature, codes = session.run(["feature", "codes"], {"x": context.x})
    (ours, _) = part.run(context.x)
    apart = ours != codes
    scaled = feature[apart] * 16
    near = np.abs(scaled - np.rint(scaled)) < 16 * BAND
    text = f"{int(apart.sum())} of {codes.size:,} codes differ from ONNX Runtime's fp32"
    return [
        Row(
            "W1",
            "",
            "BACRNet UE encoder, 1/4: fp32, 1-bit FC, 4-bit codes, packed",
            {
                OURS: in_python(our_call([part], [x])),
                ORT: in_python(call),
                SIGMOID: in_python(peers.onnxruntime_call(_cut(model, "feature"), x)[0]),
            },
            {ORT: Peer(7, 12), SIGMOID: Peer()},
            work=work_of(data),
            part=part,
            given=(x,),
            checks=[Check(f"{text}, all within {BAND:g} of a threshold", bool(near.all()))],
        )
    ]


def w1q(context: Context) -> list[Row]:
    """The encoder in integers where they pay, warm."""
    return [_quantized_encoder(context, cold=None)]


def w1c(context: Context) -> list[Row]:
    """The same from cold caches."""
    return [_quantized_encoder(context, cold=Cold())]


def _quantized_encoder(context: Context, cold: Cold | None) -> Row:
    package, precision = context.quantized()
    part, data = _part(context, precision, "ue")
    x = context.x[:1]
    fp32 = context.package("fp32")
    model = fp32.read("ue.onnx")
    given = peers.onnxruntime_session(model).run(["codes"], {"x": context.x})[0]
    share, most = _off(part.run(context.x)[0], given)
    calls: dict[str, Call] = {
        OURS: our_call([part], [x]),
        ORT: peers.onnxruntime_call(model, x)[0],
    }
    low, notes = _low_bit(context, model, package.read(file_name(package, "ue", "onnx")), x)
    calls[ORT_LOW] = low
    window = in_python if cold is None else cold.window
    wanted = {ORT: Peer(13, 20), ORT_LOW: Peer(8, 14)}
    if cold is not None:
        wanted = {ORT: Peer(18, 30), ORT_LOW: Peer()}
    text = f"{100 * share:.2f} % of the codes differ from fp32's (at most 1 %), by {most} at most"
    return Row(
        "W1q" if cold is None else "W1c",
        "",
        f"the same, precision {precision}" + (", cold caches" if cold is not None else ""),
        {name: window(call) for name, call in calls.items()},
        wanted,
        work=work_of(data),
        part=part,
        given=(x,),
        cold=cold is not None,
        checks=[Check(text, share <= CODE_SHARE and most <= 1)],
        notes=notes,
    )


def _low_bit(context: Context, fp32: bytes, qdq: bytes, x: Array) -> tuple[Call, list[str]]:
    """ONNX Runtime's fastest form that is right to `LEAST_RIGHT`."""
    name = next(node.output[0] for node in _nodes(fp32) if node.op_type == "BinaryLinear")
    some = context.x[:400]
    right, codes = peers.onnxruntime_session(_exposed(fp32, name)).run([name, "codes"], {"x": some})
    calls: dict[str, Call] = {}
    about: dict[str, str] = {}
    for form, (model, settings) in low_bit_forms(fp32).items():
        try:
            session = peers.onnxruntime_session(_exposed(model, name), settings)
            made, own = session.run([name, "codes"], {"x": some})
        except Exception as error:  # its exceptions have no common root
            about[form] = f"refused: {str(error).splitlines()[0][:80]}"
            continue
        wrong = float(np.sqrt(((made - right) ** 2).mean() / (right**2).mean()))
        about[form] = f"{100 * _off(own, codes)[0]:.1f} % of codes differ"
        if wrong <= LEAST_RIGHT:
            calls[form] = peers.onnxruntime_call(model, x, settings)[0]
    own = peers.onnxruntime_session(qdq).run(["codes"], {"x": some})[0]
    about["our QDQ file"] = f"{100 * _off(own, codes)[0]:.1f} % of codes differ"
    calls["our QDQ file"] = peers.onnxruntime_call(qdq, x)[0]
    best = peers.fastest(calls)
    return calls[best], [f"{ORT_LOW}: {best} ({about[best]}), the fastest of {', '.join(about)}"]


def w2(context: Context) -> list[Row]:
    """The decoder, 8 bits where they pay."""
    package, precision = context.quantized()
    part, data = _part(context, precision, "bs")
    wide, _ = _part(context, "fp32", "bs")
    payloads = _payloads(context)
    x = payloads[:1]
    h = from_input(context.x)
    before = to_db(nmse(h, from_input(wide.run(payloads)[0])))
    after = to_db(nmse(h, from_input(part.run(payloads)[0])))
    model = context.package("fp32").read("bs.onnx")
    calls = {OURS: our_call([part], [x]), ORT: peers.onnxruntime_call(model, x)[0]}
    notes, missing = [], {}
    if peers.installed("openvino"):
        coded = {
            f"our {precision} QDQ file": package.read(file_name(package, "bs", "onnx")),
            "our int8 QDQ file": context.package("int8").read("bs.int8.onnx"),
        }
        for name, forms in (
            (VINO, {form: (file, None) for form, file in coded.items()}),
            (VINO_FLOAT, {"fp32": (model, "f32"), "bf16": (model, "bf16")}),
        ):
            call, note = _openvino(name, forms, x)
            notes.append(note)
            if call is not None:
                calls[name] = call
    else:
        missing[VINO] = peers.INSTALL["openvino"]
    text = f"NMSE {after:.3f} dB, fp32's {before:.3f}: {after - before:+.3f} dB (at most {LOSS_DB})"
    return [
        Row(
            "W2",
            "",
            f"ACRNet-10x BS decoder, precision {precision}",
            {name: in_python(call) for name, call in calls.items()},
            {ORT: Peer(22, 28), VINO: Peer(15, 20), VINO_FLOAT: Peer()},
            missing=missing,
            work=work_of(data),
            part=part,
            given=(x,),
            checks=[Check(text, after - before <= LOSS_DB)],
            notes=notes,
        )
    ]


def _openvino(
    peer: str, forms: dict[str, tuple[bytes, str | None]], x: Array
) -> tuple[Call | None, str]:
    """OpenVINO's fastest of some forms of the network, each with its precision hint."""
    calls: dict[str, Call] = {}
    refused = []
    for name, (model, hint) in forms.items():
        try:
            calls[name] = peers.openvino_call(model, x, hint)[0]
        except RuntimeError as error:
            refused.append(f"{name} refused: {' '.join(str(error).split())[:60]}")
    if not calls:
        return None, "; ".join([peer, *refused])
    best = peers.fastest(calls)
    return calls[best], "; ".join([f"{peer}: {best}, the fastest of {', '.join(calls)}", *refused])


def w2f(context: Context) -> list[Row]:
    """The decoder in fp32."""
    part, data = _part(context, "fp32", "bs")
    x = _payloads(context)[:1]
    model = context.package("fp32").read("bs.onnx")
    call, given = peers.onnxruntime_call(model, x)
    apart = float(np.abs(part.run(x)[0] - given["h"]).max())
    calls = {OURS: our_call([part], [x]), ORT: call}
    missing = {}
    if peers.installed("openvino"):
        calls["openvino fp32"] = peers.openvino_call(model, x, "f32")[0]
    else:
        missing["openvino fp32"] = peers.INSTALL["openvino"]
    return [
        Row(
            "W2f",
            "",
            "ACRNet-10x BS decoder, fp32",
            {name: in_python(call) for name, call in calls.items()},
            {ORT: Peer(6, 7.5), "openvino fp32": Peer()},
            missing=missing,
            work=work_of(data),
            part=part,
            given=(x,),
            checks=[Check(f"at most {apart:.1g} from ONNX Runtime's h (1e-4)", apart <= 1e-4)],
        )
    ]


def w2b(context: Context) -> list[Row]:
    """64 UEs a call, one core."""
    _, precision = context.quantized()
    part, data = _part(context, precision, "bs")
    wide, _ = _part(context, "fp32", "bs")
    x = _payloads(context)[:MANY]
    model = context.package("fp32").read("bs.onnx")
    calls = {
        OURS: our_call([part], [x]),
        "csideploy fp32": our_call([wide], [x]),
        ORT: peers.onnxruntime_call(model, x)[0],
    }
    return [
        Row(
            "W2b",
            "",
            f"the decoder, precision {precision}, {MANY} UEs a call",
            {name: in_python(call) for name, call in calls.items()},
            {ORT: Peer(None, 20), "csideploy fp32": Peer()},
            work=work_of(data, MANY),
            part=part,
            given=(x,),
            samples=MANY,
        )
    ]


def _payloads(context: Context) -> Array:
    """What the fp32 encoder sends of the real CSI."""
    part, _ = _part(context, "fp32", "ue")
    return part.run(context.x)[-1]


def _nodes(model: bytes) -> Any:
    import onnx

    return onnx.load_model_from_string(model).graph.node


def _cut(model: bytes, name: str) -> bytes:
    """The model with that output alone."""
    import onnx

    graph = onnx.load_model_from_string(model)
    del graph.graph.output[:]
    graph.graph.output.append(onnx.ValueInfoProto(name=name))
    return graph.SerializeToString()


def _exposed(model: bytes, name: str) -> bytes:
    """The model with one more output."""
    import onnx

    graph = onnx.load_model_from_string(model)
    if name not in {output.name for output in graph.graph.output}:
        graph.graph.output.append(onnx.ValueInfoProto(name=name))
    return graph.SerializeToString()
