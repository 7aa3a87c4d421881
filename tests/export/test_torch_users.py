"""A torch module over users: exported with k open, its attention as a call of our function."""

from typing import Any

import numpy as np
import onnx
import pytest
from egat_model import features
from onnx import TensorProto

from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.functions import attach_functions
from csideploy.export.plan import Op
from csideploy.export.torch_onnx import export_network
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part

torch = pytest.importorskip("torch")


class Layer(torch.nn.Module):  # type: ignore[misc]
    """Paper 000, eq. 18 to 21, with the mean over antennas first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.own, self.mean, self.value, self.query, self.key = (
            torch.nn.Linear(channels, channels) for _ in range(5)
        )

    def attention(self, v: Any, q: Any, k: Any) -> Any:
        if torch.onnx.is_in_onnx_export():
            return torch.onnx.ops.symbolic(
                "csideploy::EdgeAttention", (v, q, k), attrs={"average": 0},
                dtype=torch.float32, shape=v.shape, version=1,
            )  # fmt: skip
        scores = torch.einsum("nimc,njmc->nijc", q, k) / v.shape[2]
        scores = scores * (1 - torch.eye(v.shape[1]))[None, :, :, None]
        return torch.einsum("nijc,njmc->nimc", scores, v)

    def forward(self, z: Any) -> Any:
        seen = self.attention(self.value(z), self.query(z), self.key(z))
        total = self.own(z) + self.mean(z.mean(2, keepdim=True)) + seen
        return torch.nn.functional.mish(total)


class Precoder(torch.nn.Module):  # type: ignore[misc]
    """feature (n, k, 8), snr_db (n, 1) -> W (n, k, 4, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(3, 20), torch.nn.Linear(20, 2)
        self.layers = torch.nn.Sequential(Layer(20), Layer(20))

    def forward(self, feature: Any, snr_db: Any) -> Any:
        z = feature.unflatten(-1, (4, 2))
        snr = (snr_db / 20)[:, None, None].expand(*z.shape[:-1], 1)
        w = self.last(self.layers(self.first(torch.cat([z, snr], -1))))
        return w / w.square().sum((1, 2, 3), keepdim=True).sqrt()


def test_every_number_of_users_gives_what_torch_gives() -> None:
    torch.manual_seed(0)
    module = Precoder()
    proto = export_network(module, {"feature": ("k", 8), "snr_db": (1,)}, "W", "egat")
    attach_functions(proto)
    onnx.checker.check_model(proto, full_check=True)
    (feature, snr), (w,) = proto.graph.input, proto.graph.output
    shapes = [
        [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]
        for info in (feature, snr, w)
    ]
    assert shapes == [["n", "k", 8], ["n", 1], ["n", "k", 4, 2]]
    assert feature.type.tensor_type.elem_type == TensorProto.FLOAT
    plan = compile_model(proto, part="precoder", side="bs", n_max=2, k_max=5)
    ops = [step.op for step in plan.steps]
    assert ops.count(Op.EDGE_ATTENTION) == 2
    assert ops.count(Op.LINEAR) == 12
    assert Op.TRANSPOSE not in ops
    assert Op.MATMUL not in ops
    part, oracle = Part(write_bundle(plan)), Oracle(proto.SerializeToString(), name="egat")
    for users in range(1, 6):
        x = features(3, users, 8, seed=users)
        with torch.no_grad():
            expected = module(*(torch.from_numpy(a) for a in x.values())).numpy()
        # Three float32 computations in different orders, of numbers below 1.
        np.testing.assert_allclose(part.run(*x.values())[0], expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(oracle.run(x)["W"], expected, rtol=0, atol=1e-5)
