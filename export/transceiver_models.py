"""The networks of `rvq-egat` as ONNX: the feature extractor of a user, the precoder of a BS.

Paper 000, Sections IV and V; `csideploy.systems.rvq_egat` has the same in torch, whose arrays come
in here under their names there. States are (n, k, M, C), channels last, so that a linear function
of every edge is one product by a constant matrix, and the number of users k is no constant of the
file. What is written otherwise than in the paper, exactly:

- The batch norm of the extractor, in evaluation, goes into the linear layer before it: with
  g = gamma / sqrt(variance + eps), W' = g W and b' = g (b - mean) + beta.
- The start's input is (piece of the feature, SNR, W_0). The SNR is one number of a sample: its
  column of the matrix is applied once, and what it makes is added to every edge.
- sum_(i != m) f_2(z_i) = M f_2(mean z) - f_2(z_m), as f_2 is linear: f_2 goes to the mean over the
  antennas, and -alpha / M of its matrix into that of f_1, as does the rest of its bias.
- beta goes into f_3, which is linear too.
- The last network's output that is a gain is averaged over antennas: so is its input instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

import csideploy
from csideploy.errors import InputError
from csideploy.export.functions import DOMAIN, attach_functions
from csideploy.export.interface import BATCH, IR_VERSION, OPSET

State = Mapping[str, NDArray[Any]]
Doubles = NDArray[np.float64]

USERS = "k"
FORMS = ("edge", "node")
ANCHORS = ("none", "rzf")
NORM_EPS = 1e-5
"""What torch's batch norm adds to a variance."""
SMALLEST_POWER = 1e-12
LOG_SHARE = (-6.0, 8.0)
"""Limits of the logarithm of a user's share of the anchor's loading."""
LOG_GAIN = (-3.0, 3.0)
"""Limits of the logarithm of a user's gain. Both as `systems.rvq_egat` trains them."""


def encoder_model(state: State, *, name: str = "encoder") -> ModelProto:
    """The feature extractor as a part: y (n, L, 2) -> feature (n, D) in (-1, 1) (eq. 11).

    Args:
        state: `extractor.net.N.weight` and so on; the number of layers follows from the names.
        name: of the graph.

    Raises:
        InputError: an array is missing, has another shape than the others ask for, or a number of
            it is not finite.
    """
    arrays = _Arrays(state)
    graph = _Graph()
    hidden = 0
    while f"extractor.net.{3 * hidden + 1}.running_mean" in state:
        hidden += 1
    first = arrays.get("extractor.net.0.weight", None, None)
    width = first.shape[1]
    if width % 2:
        raise InputError(f"extractor.net.0.weight {first.shape}: 2 L inputs are right")
    x = graph.reshape("y", [0, width], "y.flat")
    for layer in range(hidden):
        weight, bias = _linear(arrays, f"extractor.net.{3 * layer}", None, width)
        width = len(weight)
        norm = f"extractor.net.{3 * layer + 1}"
        scale, shift, mean, variance = (
            arrays.get(f"{norm}.{part}", width)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        if (variance < 0).any():
            raise InputError(f"{norm}.running_var: a variance below 0")
        factor = scale / np.sqrt(variance + NORM_EPS)
        bias = factor * (bias - mean) + shift
        x = graph.gemm(x, factor[:, None] * weight, bias, f"layer{layer + 1}")
        x = graph.node("Mish", [x], f"hidden{layer + 1}")
    weight, bias = _linear(arrays, f"extractor.net.{3 * hidden}", None, width)
    x = graph.gemm(x, weight, bias, f"layer{hidden + 1}")
    graph.node("Tanh", [x], "feature")
    received = _info("y", (BATCH, first.shape[1] // 2, 2))
    return graph.model(name, [received], _info("feature", (BATCH, len(weight))))


def precoder_model(
    state: State,
    *,
    antennas: int,
    form: str = "edge",
    layers: int = 3,
    alpha: float = 0.1,
    beta: float = 0.1,
    anchor: str = "none",
    name: str = "precoder",
) -> ModelProto:
    """The precoder as a part: feature (n, k, D), snr_db (n, 1) -> W (n, k, M, 2), total power 1.

    Args:
        state: `graph.start.0.weight` and so on.
        antennas: M, which divides D.
        form: "edge", states on (user, antenna), or "node", states on users.
        layers: G, updates.
        alpha: weight of the antennas (eq. 18), which the node form does not read.
        beta: of the other users; the node form takes the mean over them.
        anchor: "rzf", or "none".
        name: of the graph.

    Raises:
        InputError: as `encoder_model`; or the form, the anchor or a number does not exist.
    """
    if form not in FORMS or anchor not in ANCHORS:
        raise InputError(
            f"form {form!r}, anchor {anchor!r}: {' or '.join(FORMS)}, {' or '.join(ANCHORS)}"
        )
    if antennas < 1 or layers < 0 or not np.isfinite([alpha, beta]).all():
        raise InputError(
            f"{antennas} antennas, {layers} layers, alpha {alpha}, beta {beta}: sizes and finite "
            "numbers are right"
        )
    return _Precoder(state, antennas, form == "edge", layers, alpha, beta, anchor == "rzf").model(
        name
    )


class _Precoder:
    """places: states of a user, M or 1. extra: numbers of W_0 at each place."""

    def __init__(
        self,
        state: State,
        antennas: int,
        edge: bool,
        layers: int,
        alpha: float,
        beta: float,
        anchor: bool,
    ) -> None:
        self.arrays, self.graph = _Arrays(state), _Graph()
        self.antennas, self.layers, self.edge, self.anchored = antennas, layers, edge, anchor
        self.alpha, self.beta = alpha, beta
        self.places = antennas if edge else 1
        self.outputs = 2 * antennas // self.places
        extra = self.outputs if anchor else 0
        hidden, inputs = self.arrays.get("graph.start.0.weight", None, None).shape
        self.hidden, self.piece = hidden, inputs - 1 - extra
        self.feature = self.piece * self.places
        if self.piece < 1 or self.feature % antennas:
            raise InputError(
                f"graph.start.0.weight {(hidden, inputs)} fits no feature of {antennas} antennas"
            )

    def model(self, name: str) -> ModelProto:
        graph = self.graph
        pieces = graph.reshape("feature", [0, 0, self.places, self.piece], "pieces")
        w0 = self._anchor() if self.anchored else None
        z, width = self._start(pieces, w0)
        for number in range(self.layers):
            z = self._update(z, width, number)
        w = self._end(z, width, w0)
        squares = graph.node("Mul", [w, w], "squares")
        axes = graph.store("entries", np.array([1, 2, 3], np.int64))
        power = graph.node("ReduceSum", [squares, axes], "power", keepdims=1)
        above = graph.node("Max", [power, graph.number("least", SMALLEST_POWER)], "power.above")
        graph.node("Div", [w, graph.node("Sqrt", [above], "length")], "W")
        ends = [_info("feature", (BATCH, USERS, self.feature)), _info("snr_db", (BATCH, 1))]
        return graph.model(name, ends, _info("W", (BATCH, USERS, self.antennas, 2)))

    def _anchor(self) -> str:
        """W_0: zero forcing of a linear function of the pieces, the loading a sum over users."""
        graph, arrays = self.graph, self.arrays
        piece = self.feature // self.antennas
        pieces = graph.reshape("feature", [0, 0, self.antennas, piece], "anchor.pieces")
        channel = arrays.get("graph.anchor.channel", piece, 2)
        h = graph.product(pieces, channel, None, "anchor.h")
        # A mean over the antennas of weighted squares, as one product with all pieces at once.
        share = np.tile(arrays.get("graph.anchor.share", piece) / self.antennas, self.antennas)
        level = arrays.get("graph.anchor.level", 2)
        energy = graph.node("Mul", ["feature", "feature"], "anchor.squares")
        own = graph.product(energy, share[:, None], None, "anchor.own")
        # (n, 1, 1), beside (n, k, 1)
        snr = graph.reshape("snr_db", [0, 1, 1], "anchor.snr")
        common = graph.product(snr, -0.1 * level[1:, None], level[:1], "anchor.common")
        share_log = graph.node("Add", [own, common], "anchor.log")
        limits = [graph.number(f"anchor.limit{i}", limit) for i, limit in enumerate(LOG_SHARE)]
        cut = graph.node("Clip", [share_log, *limits], "anchor.cut")
        shares = graph.node("Exp", [cut], "anchor.shares")
        users = graph.store("anchor.users", np.array([1], np.int64))
        loading = graph.node("ReduceSum", [shares, users], "loading", keepdims=0)
        return graph.node("ZeroForcing", [h, loading], "W0", domain=DOMAIN)

    def _start(self, pieces: str, w0: str | None) -> tuple[str, int]:
        """The first network: two layers on what an edge, or a user, knows."""
        graph = self.graph
        inputs = self.piece + 1 + (self.outputs if self.anchored else 0)
        weight, bias = _linear(self.arrays, "graph.start.0", self.hidden, inputs)
        snr = graph.reshape("snr_db", [0, 1, 1, 1], "snr")
        column = 0.1 * weight[:, self.piece : self.piece + 1].T
        common = graph.product(snr, column, bias, "start.snr")
        own = np.delete(weight, self.piece, axis=1).T
        x = pieces
        if w0 is not None:
            if not self.edge:
                w0 = graph.reshape(w0, [0, 0, 1, self.outputs], "W0.row")
            x = graph.node("Concat", [pieces, w0], "start.known", axis=3)
            # Costs nothing. Where the start is computed in integers, its input is rounded: behind
            # this, so that the inverse reads the feature, and the end W_0, as they are.
            x = graph.node("Cast", [x], "start.input", to=TensorProto.FLOAT)
        x = graph.product(x, own, None, "start.own")
        x = graph.node("Mish", [graph.node("Add", [x, common], "start.sum")], "start")
        weight, bias = _linear(self.arrays, "graph.start.1", None, self.hidden)
        z = graph.node("Mish", [graph.product(x, weight.T, bias, "start.last")], "z0")
        return z, len(weight)

    def _update(self, z: str, width: int, number: int) -> str:
        """Eq. 18 and 19, or the predecessor's update of users."""
        graph, name = self.graph, f"update{number + 1}"
        functions = 5 if self.edge else 4
        stacked = f"graph.layers.{number}"
        weight = self.arrays.get(f"{stacked}.weight", functions * width, width)
        bias = self.arrays.get(f"{stacked}.bias", functions * width)
        w, b = weight.reshape(functions, width, width), bias.reshape(functions, width)
        own, shift = w[0], b[0]
        antennas = ""
        if self.edge and self.places > 1:
            own = own - (self.alpha / self.places) * w[1]
            shift = shift + self.alpha * (self.places - 1) / self.places * b[1]
            axis = graph.store(f"{name}.axis", np.array([2], np.int64))
            mean = graph.node("ReduceMean", [z, axis], f"{name}.mean", keepdims=1)
            antennas = graph.product(mean, self.alpha * w[1].T, None, f"{name}.antennas")
        weighed = self.beta if self.edge else 1.0
        values = graph.product(z, weighed * w[-3].T, weighed * b[-3], f"{name}.values")
        queries = graph.product(z, w[-2].T, b[-2], f"{name}.queries")
        keys = graph.product(z, w[-1].T, b[-1], f"{name}.keys")
        made = graph.node("EdgeAttention", [values, queries, keys], f"{name}.others",
                          domain=DOMAIN, average=int(not self.edge))  # fmt: skip
        own_part = graph.product(z, own.T, shift, f"{name}.own")
        made = graph.node("Add", [own_part, made], f"{name}.users")
        if antennas:
            made = graph.node("Add", [made, antennas], f"{name}.sum")
        return graph.node("Mish", [made], f"z{number + 1}")

    def _end(self, z: str, width: int, w0: str | None) -> str:
        """The last network, (n, k, M, 2), and W_0 times a gain of each user."""
        graph, gains = self.graph, int(self.anchored)
        weight, bias = _linear(self.arrays, "graph.end.0", None, width)
        x = graph.node("Mish", [graph.product(z, weight.T, bias, "end.first")], "end")
        last, shift = _linear(self.arrays, "graph.end.1", self.outputs + gains, len(weight))
        count = self.outputs
        w = graph.product(x, last[:count].T, shift[:count], "end.last")
        if not self.edge:
            w = graph.reshape(w, [0, 0, self.antennas, 2], "end.pairs")
        if w0 is None:
            return w
        if self.places > 1:
            axis = graph.store("gain.axis", np.array([2], np.int64))
            x = graph.node("ReduceMean", [x, axis], "gain.mean", keepdims=1)
        gain = graph.product(x, last[count:].T, shift[count:], "gain.log")
        limits = [graph.number(f"gain.limit{i}", limit) for i, limit in enumerate(LOG_GAIN)]
        gain = graph.node("Exp", [graph.node("Clip", [gain, *limits], "gain.cut")], "gain")
        scaled = graph.node("Mul", [w0, gain], "W0.scaled")
        return graph.node("Add", [w, scaled], "W.raw")


def _linear(
    arrays: _Arrays, name: str, outputs: int | None, inputs: int
) -> tuple[Doubles, Doubles]:
    """Weight (outputs, inputs) and bias (outputs,) of a layer."""
    weight = arrays.get(f"{name}.weight", outputs, inputs)
    return weight, arrays.get(f"{name}.bias", len(weight))


class _Arrays:
    """The arrays of a state, checked where they are read."""

    def __init__(self, state: State) -> None:
        self.state = state

    def get(self, name: str, *sizes: int | None) -> Doubles:
        """In float64, so that what is calculated from it is rounded once."""
        if name not in self.state:
            raise InputError(f"the state has no array '{name}'")
        array = np.asarray(self.state[name])
        fits = array.ndim == len(sizes) and all(
            size in (None, own) for size, own in zip(sizes, array.shape, strict=True)
        )
        if not fits or array.dtype.kind != "f":
            wanted = ", ".join("any" if size is None else str(size) for size in sizes)
            raise InputError(f"{name} {array.dtype} {array.shape}; floats ({wanted}) are right")
        if not np.isfinite(array).all():
            raise InputError(f"{name}: a number is not finite")
        return array.astype(np.float64)


class _Graph:
    """Nodes and constants of one part, in order."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.stored: list[TensorProto] = []

    def store(self, name: str, data: NDArray[Any]) -> str:
        self.stored.append(numpy_helper.from_array(np.ascontiguousarray(data), name))
        return name

    def number(self, name: str, value: float) -> str:
        return self.store(name, np.array(value, np.float32))

    def floats(self, name: str, data: Doubles) -> str:
        with np.errstate(over="ignore"):  # told below
            rounded = data.astype(np.float32)
        if not np.isfinite(rounded).all():
            raise InputError(f"{name}: a number is not finite in float32")
        return self.store(name, rounded)

    def node(self, op: str, inputs: Sequence[str], made: str, domain: str = "", **attributes: int
             ) -> str:  # fmt: skip
        node = helper.make_node(op, inputs, [made], name=f"{made}.node", domain=domain)
        node.attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
        self.nodes.append(node)
        return made

    def reshape(self, source: str, shape: list[int], made: str) -> str:
        target = self.store(f"{made}.shape", np.array(shape, np.int64))
        return self.node("Reshape", [source, target], made)

    def gemm(self, x: str, weight: Doubles, bias: Doubles, made: str) -> str:
        """Rows by weight (outputs, inputs)."""
        names = [self.floats(f"{made}.weight", weight), self.floats(f"{made}.bias", bias)]
        return self.node("Gemm", [x, *names], made, transB=1)

    def product(self, x: str, weight: Doubles, bias: Doubles | None, made: str) -> str:
        """The last axis by weight (inputs, outputs)."""
        weights = self.floats(f"{made}.weight", weight)
        if bias is None:
            return self.node("MatMul", [x, weights], made)
        row = self.node("MatMul", [x, weights], f"{made}.product")
        return self.node("Add", [row, self.floats(f"{made}.bias", bias)], made)

    def model(self, name: str, inputs: list[ValueInfoProto], output: ValueInfoProto) -> ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, [output], self.stored)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="csideploy",
            producer_version=csideploy.__version__,
        )
        attach_functions(model)
        return model


def _info(name: str, shape: tuple[str | int, ...]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
