"""MatMul and Gemm: LINEAR where the second factor is a constant matrix, else MATMUL.

Gemm is alpha op(A) op(B) + beta C; LINEAR is x W^T + b. So W = alpha B^T (or alpha B where transB
is set) and b = beta C, one number an output.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import BATCH, Quantized, Shape, Value
from csideploy.export.operations import Binary
from csideploy.export.plan import Activation, Op
from csideploy.export.steps.site import F32, Site, broadcast, stored_shape


def linear(
    site: Site,
    x: str,
    weight: NDArray[Any],
    bias: str = "",
    of: Value | None = None,
    quantized: Quantized | None = None,
) -> str:
    """X (..., K) by a weight (M, K); a row alone becomes a matrix of one."""
    shape = site.shape(x)
    if len(shape) == 1:
        x = site.view(x, (1, *shape))
    name = site.constant(np.ascontiguousarray(weight), of, quantized)
    made = (*site.shape(x)[:-1], int(weight.shape[0]))
    made_name = site.step(
        Op.LINEAR, [x, name, bias, ""], made, activation=Activation.NONE, alpha=0.0
    )
    return site.view(made_name, (*shape[:-1], int(weight.shape[0])))


def matmul(site: Site) -> None:
    """(..., M, K) x (..., K, N)."""
    site.need(F32, 0, 1)
    a, b = site.value(0), site.value(1)
    if b.data is not None and b.data.ndim > 1 and a.data is None:
        matrix = b.data.reshape(b.data.shape[-2:]) if _is_matrix(b) else None
        if matrix is not None and len(a.shape) >= b.data.ndim:
            codes = b.quantized.moved(lambda q: q.reshape(matrix.shape).T) if b.quantized else None
            made = linear(site, site.x(0), matrix.T, "", b, codes)
            site.result(site.view(made, stored_shape(site.out)))
            return
    last = b.batch is not None and b.batch.axis == len(b.shape) - 1 and b.data is None
    if last and a.data is not None and a.data.ndim == 2 and len(site.shape(b.name)) == 2:
        # W (M, K) by columns that are samples, stored as rows.
        site.result(linear(site, site.x(1), a.data, "", a))
        return
    site.result(site.view(_product(site, a, b), stored_shape(site.out)))


def _is_matrix(value: Value) -> bool:
    return all(size == 1 for size in value.shape[:-2])


def _product(site: Site, a: Value, b: Value) -> str:
    """MATMUL on ONNX's shapes of one sample, behind the batch; axes of size 1 left out."""
    shape_a = a.shape if len(a.shape) > 1 else (1, *a.shape)
    shape_b = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    rank = max(len(shape_a), len(shape_b))
    shape_a = (1,) * (rank - len(shape_a)) + shape_a
    shape_b = (1,) * (rank - len(shape_b)) + shape_b
    kept = [i for i in range(rank - 2) if shape_a[i] != 1 or shape_b[i] != 1]
    names = []
    for index, (value, shape) in enumerate(((a, shape_a), (b, shape_b))):
        short: Shape = (*(shape[i] for i in kept), *shape[-2:])
        if value.batch is not None and value.data is None:
            short = (BATCH, *short)
        names.append(site.view(site.x(index), short))
    return matrix_product(site, names[0], names[1])


def matrix_product(site: Site, a: str, b: str) -> str:
    """MATMUL of two stored tensors."""
    x, y = site.shape(a), site.shape(b)
    lead = broadcast(x[:-2], y[:-2])
    return site.step(Op.MATMUL, [a, b], (*lead, x[-2], y[-1]))


def gemm(site: Site) -> None:
    """Rows of A by B, transposed or not."""
    site.need(F32, 0, 1)
    a, b = site.value(0), site.value(1)
    alpha, beta = (np.float32(site.attribute(name, 1.0)) for name in ("alpha", "beta"))
    x = site.x(0)
    if site.attribute("transA", 0) and (a.batch is None or a.batch.before * a.batch.after != 1):
        lead = [0] if a.batch is not None else []
        x = site.transpose(x, [*lead, len(lead) + 1, len(lead)])
    bias, rest = "", ""
    if site.has(2) and beta != 0:
        site.need(F32, 2)
        data = site.value(2).data
        columns = int(site.out.shape[-1])
        if (
            data is not None
            and b.data is not None
            and data.size in (1, columns)
            and (data.ndim < 2 or data.shape[-1] == data.size)
        ):
            bias = _bias(site, site.value(2), columns, float(beta))
        else:
            rest = site.operand(2)
            if beta != 1:
                rest = site.binary(rest, site.number(float(beta)), Binary.MUL)
    if b.data is not None and a.data is None:
        transposed = bool(site.attribute("transB", 0))
        weight = b.data if transposed else b.data.T
        codes = b.quantized
        if codes is not None and not transposed:
            codes = codes.moved(np.transpose)
        if alpha != 1:
            weight, codes = weight * alpha, None
        made = linear(site, x, weight, bias, b if transposed and alpha == 1 else None, codes)
    else:
        matrix = site.x(1)
        if site.attribute("transB", 0):
            matrix = site.transpose(matrix, [1, 0])
        made = _rows_by(site, x, matrix)
        if alpha != 1:
            made = site.binary(made, site.number(float(alpha)), Binary.MUL)
    if rest:
        made = site.binary(made, rest, Binary.ADD)
    site.result(site.view(made, stored_shape(site.out)))


def _rows_by(site: Site, x: str, matrix: str) -> str:
    """MATMUL of (n, K) seen as (n, 1, K), so that the batch stays in front."""
    shape = site.shape(x)
    if shape[0] == BATCH and len(shape) == 2:
        made = matrix_product(site, site.view(x, (BATCH, 1, shape[1])), matrix)
        return site.view(made, (BATCH, site.shape(made)[-1]))
    return matrix_product(site, x, matrix)


def _bias(site: Site, value: Value, columns: int, beta: float) -> str:
    data = value.data
    assert data is not None
    if beta == 1 and data.size == columns:
        return site.constant(data.reshape(columns), value)
    return site.constant(np.broadcast_to(data.reshape(-1) * np.float32(beta), columns))
