"""The rest of a network behind given tensors, so that one change inside it costs one short run.

What the tensors reach is run again; what else it reads is fed with the values of the float run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

from csideploy.export.quantize.prepare import Network
from csideploy.onnx_oracle import Arrays, Session


class Suffix:
    """A network from some of its tensors on.

    Args:
        network: the whole, prepared.
        starts: the tensors that get new values. A network's outputs among `wanted` that they do
            not reach keep their values.
        wanted: the tensors to give out.
        constants: initializers with other values, by name.
        layer: name of a node that is run again although its inputs keep their values.
    """

    def __init__(
        self,
        network: Network,
        starts: Collection[str],
        wanted: Sequence[str],
        *,
        constants: Mapping[str, NDArray[Any]] | None = None,
        layer: str = "",
    ) -> None:
        reached = set(starts)
        nodes = []
        for node in network.model.graph.node:
            again = node.name == layer or reached.intersection(node.input)
            if again and not set(starts).intersection(node.output):
                reached.update(node.output)
                nodes.append(node)
        made = {name for node in nodes for name in node.output}
        self.wanted = tuple(wanted)
        self.made = [name for name in wanted if name in made]
        read = dict.fromkeys(name for node in nodes for name in node.input if name)
        self.feeds = [n for n in read if n not in made and n not in network.constants]
        stored = dict(constants or {})
        initializers = [
            numpy_helper.from_array(stored[t.name], t.name) if t.name in stored else t
            for t in network.model.graph.initializer
            if t.name in read
        ]
        graph = helper.make_graph(
            nodes,
            "rest",
            [_info(network, name) for name in self.feeds],
            [_info(network, name) for name in self.made],
            initializers,
        )
        model = ModelProto()
        model.CopyFrom(network.model)
        model.graph.CopyFrom(graph)
        self._session = Session(model.SerializeToString(), name="the network") if nodes else None

    def run(self, values: Arrays, changed: Arrays) -> Arrays:
        """The wanted tensors.

        Args:
            values: of the float run: every feed, and wanted tensors that the starts do not reach.
            changed: new values of the starts.
        """
        now = {**values, **changed}
        result = {name: now[name] for name in self.wanted if name not in self.made}
        if self._session is not None and self.made:
            result |= self._session.run({name: now[name] for name in self.feeds})
        return result


def _info(network: Network, name: str) -> Any:
    dtype = network.types.get(name, np.dtype(np.float32))
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), None)
