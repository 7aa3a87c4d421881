"""W3 and W4: the search of a residual vector quantizer, and the network of a fronthaul's RU."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.rows import peers
from benchmarks.rows.context import Context
from benchmarks.rows.measure import OURS, Call, Check, Peer, Row, in_python
from benchmarks.rows.roofline import work_of
from csideploy.bench import our_call
from csideploy.calibration import chunks
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.interface import IR_VERSION, OPSET
from csideploy.export.residual_models import quantizer_model
from csideploy.export.ru_models import network_decoder_model
from csideploy.quantize import quantize_part
from csideploy.quantizers.residual import distances
from csideploy.runtime import Part

Array = NDArray[Any]
STAGES, WORDS = 3, 1024
WIDTHS, QUERIES = (128, 256, 512), (1, 64)
SINGLE = 16
"""Queries that take turns where each call has one."""
FAISS = "faiss IndexFlatL2"
ORT = "onnxruntime fp32"
FAISS_AT_LEAST = {128: 9.0, 256: 9.0}
BITS = (64, 128, 300)
BLOCK, USES = 168, (168, 2016)
ANTENNAS = 16
RU_AT_LEAST = {64: 5.0, 128: 5.0, 300: 4.5}
EPS = float(np.finfo(np.float32).eps)
CODED = 0.02
"""Relative error that integers may add to an RU's signal; its quantizer's is many times that."""


def w3(_: Context) -> list[Row]:
    """Every width with every number of queries."""
    return [_search(width, n) for width in WIDTHS for n in QUERIES]


def _in_turn(make: Callable[[Array], Call], x: Array, n: int) -> Call:
    """Calls of n queries each in turn: how many words are near depends on the query."""
    if len(x) == n:
        return make(x)
    calls = cycle([make(x[at : at + n]) for at in range(0, len(x), n)])

    def call() -> object:
        return next(calls)()

    return call


def _search(width: int, n: int) -> Row:
    rng = np.random.default_rng([width, n])
    # Features of falling power along their axis, as trained ones have, and books fitted to nothing:
    # each stage's are as large as what is left over there.
    power = np.exp(-np.arange(width) / (width / 4)).astype(np.float32)
    books = [
        (rng.normal(size=(WORDS, width)) * power * 0.7**stage).astype(np.float32)
        for stage in range(STAGES)
    ]
    x = (rng.normal(size=(max(n, SINGLE), width)) * power).astype(np.float32)
    made = compile_model(quantizer_model(books), part="quantizer", side="ue", n_max=n)
    data = write_bundle(made)
    part = Part(data)
    calls: dict[str, Call] = {OURS: _in_turn(lambda own: our_call([part], [own]), x, n)}
    missing = {}
    if peers.installed("faiss"):
        calls[FAISS] = _in_turn(_faiss(books), x, n)
    else:
        missing[FAISS] = peers.INSTALL["faiss"]
    calls["numpy"] = _in_turn(_numpy(books), x, n)
    many = np.concatenate([x, (rng.normal(size=(256, width)) * power).astype(np.float32)])
    wanted = FAISS_AT_LEAST.get(width)
    return Row(
        "W3",
        f"D = {width}, n = {n}",
        f"residual VQ, {STAGES} stages of {WORDS}",
        {name: in_python(call) for name, call in calls.items()},
        {FAISS: Peer(wanted, 14), "numpy": Peer()},
        missing=missing,
        work=work_of(data, n),
        part=part,
        given=(x[:n],),
        samples=n,
        checks=_identical(data, part, books, many),
    )


def _indices(bits: Array) -> Array:
    """(n, stages) from codes of one bit."""
    own = bits.reshape(len(bits), STAGES, -1).astype(int)
    return np.asarray(own @ (1 << np.arange(own.shape[2])[::-1]))


def _identical(data: bytes, part: Part, books: list[Array], x: Array) -> list[Check]:
    """The scalar kernel's indices, and the nearest words in doubles but for ties in float32.

    A distance is a chain of D roundings: two that are nearer to one another are a tie.
    """
    found = _indices(part.run(x)[0])
    scalar = _indices(Part(data, isa="reference").run(x)[0])
    rest, apart, ties = x.copy(), 0, 0
    for stage, book in enumerate(books):
        far = distances(rest, book)
        own, least = far[np.arange(len(x)), found[:, stage]], far.min(axis=1)
        other = found[:, stage] != far.argmin(axis=1)
        apart += int(other.sum())
        ties += int((own - least <= 2 * x.shape[1] * EPS * least)[other].sum())
        rest = rest - book[found[:, stage]]
    same = int((found == scalar).sum())
    said = f"{apart} are not the nearest in doubles, {ties} of them ties in float32"
    return [
        Check(f"{same} of {found.size} indices are the scalar kernel's", same == found.size),
        Check(said, apart == ties),
    ]


def _faiss(books: list[Array]) -> Callable[[Array], Call]:
    import faiss

    faiss.omp_set_num_threads(1)
    indexes = []
    for book in books:
        index = faiss.IndexFlatL2(book.shape[1])
        index.add(book)
        indexes.append(index)

    def make(x: Array) -> Call:
        def call() -> Array:
            rest = x
            for index, book in zip(indexes, books, strict=True):
                _, found = index.search(rest, 1)
                rest = rest - book[found[:, 0]]
            return rest

        return call

    return make


def _numpy(books: list[Array]) -> Callable[[Array], Call]:
    """The nearest word maximises r . c - |c|^2 / 2."""
    halves = [(book * book).sum(axis=1) / 2 for book in books]
    turned = [np.ascontiguousarray(book.T) for book in books]

    def make(x: Array) -> Call:
        def call() -> Array:
            rest = x
            for book, half, columns in zip(books, halves, turned, strict=True):
                rest = rest - book[(rest @ columns - half).argmax(axis=1)]
            return rest

        return call

    return make


def w4(_: Context) -> list[Row]:
    """Every number of bits with every number of channel uses."""
    return [row for bits in BITS for row in _decode(bits)]


def _decode(bits: int) -> list[Row]:
    rng = np.random.default_rng(bits)
    sizes = ((bits, bits), (2 * ANTENNAS, bits))
    layers = [
        (
            (rng.normal(size=size) * np.sqrt(2 / size[1])).astype(np.float32),
            rng.normal(scale=0.1, size=size[0]).astype(np.float32),
        )
        for size in sizes
    ]
    model = network_decoder_model(layers, block=BLOCK, bits=bits)
    nbytes = -(-BLOCK * bits // 8)
    seen = rng.integers(0, 256, (8, nbytes), np.uint8)
    made = quantize_part(model, chunks(seen, 4), precision="int8", seed=0).models[""]
    whole = onnx.load_model_from_string(made)
    wide = Part(write_bundle(compile_model(model, part="ru", side="ru")))
    rows = []
    for uses in USES:
        samples = uses // BLOCK
        data = write_bundle(compile_model(whole, part="ru", side="ru", n_max=samples))
        part = Part(data)
        payload = rng.integers(0, 256, (samples, nbytes), np.uint8)
        sent = np.unpackbits(payload, axis=1).reshape(uses, bits).astype(np.float32)
        right = wide.run(payload)[0]
        wrong = part.run(payload)[0] - right
        error = float(np.sqrt((wrong**2).mean() / (right**2).mean()))
        calls = {
            OURS: our_call([part], [payload]),
            "csideploy fp32": our_call([wide], [payload]),
            ORT: peers.onnxruntime_call(_dense(layers), sent)[0],
            "numpy": _layers(layers, sent),
        }
        rows.append(
            Row(
                "W4",
                f"B = {bits}, n = {uses}",
                f"RU network {bits} -> {bits} -> {2 * ANTENNAS}, int8; peers get bits as floats",
                {name: in_python(call) for name, call in calls.items()},
                {ORT: Peer(RU_AT_LEAST[bits], 8), "numpy": Peer(), "csideploy fp32": Peer()},
                work=work_of(data, samples),
                part=part,
                given=(payload,),
                samples=samples,
                checks=[
                    Check(
                        f"relative error {100 * error:.2f} % of fp32's signal "
                        f"(at most {100 * CODED:g} %)",
                        error <= CODED,
                    )
                ],
            )
        )
    return rows


def _dense(layers: list[tuple[Array, Array]]) -> bytes:
    """Gemm, ReLU, Gemm on bits that are floats already."""
    nodes, stored, made = [], [], "bits"
    for number, (weight, bias) in enumerate(layers, 1):
        last = number == len(layers)
        ends = [made, f"w{number}", f"b{number}"]
        stored += [
            numpy_helper.from_array(np.ascontiguousarray(weight.T), ends[1]),
            numpy_helper.from_array(bias, ends[2]),
        ]
        made = "signal" if last else f"sum{number}"
        nodes.append(helper.make_node("Gemm", ends, [made]))
        if not last:
            nodes.append(helper.make_node("Relu", [made], [f"hidden{number}"]))
            made = f"hidden{number}"
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "ru",
        [helper.make_tensor_value_info("bits", floats, ["n", len(layers[0][0][0])])],
        [helper.make_tensor_value_info("signal", floats, ["n", len(layers[-1][1])])],
        stored,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()


def _layers(layers: list[tuple[Array, Array]], x: Array) -> Call:
    (first, shift), (second, end) = layers
    one, two = np.ascontiguousarray(first.T), np.ascontiguousarray(second.T)

    def call() -> Array:
        hidden = x @ one
        hidden += shift
        np.maximum(hidden, 0, out=hidden)
        return np.asarray(hidden @ two + end)

    return call
