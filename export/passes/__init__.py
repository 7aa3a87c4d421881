"""The passes, one file each, and the order in which they run.

A pass changes the graph in place and keeps what the network computes; its docstring derives why.
After each one the compiler checks the graph (`check`).
"""

from collections.abc import Callable

from csideploy.export.graph import Graph
from csideploy.export.passes import (
    copy_outputs,
    drop_dead,
    drop_views,
    fold_batch_norm,
    fold_transpose,
    fuse_activation,
    fuse_bias,
    fuse_bits_network,
    fuse_block,
    fuse_functions,
    fuse_layer_norm,
    fuse_logit,
    fuse_residual,
    import_qcdq,
    import_qonnx,
    infer,
    lift_views,
    recognise,
    recognise_add,
    recognise_binary,
    recognise_qdq,
)

PIPELINE: tuple[tuple[str, Callable[[Graph], None]], ...] = (
    ("import_qonnx", import_qonnx.run),
    ("infer", infer.run),
    ("import_qcdq", import_qcdq.run),
    ("drop_dead", drop_dead.run),
    ("recognise", recognise.run),
    ("drop_views", drop_views.run),
    ("fuse_layer_norm", fuse_layer_norm.run),
    ("fuse_functions", fuse_functions.run),
    ("lift_views", lift_views.run),
    ("drop_views", drop_views.run),
    ("fold_transpose", fold_transpose.run),
    # A batch norm may stand before or behind the Add of a bias, so biases go first and the
    # batch norm folds them in, and again behind it.
    ("fuse_bias", fuse_bias.run),
    ("fold_batch_norm", fold_batch_norm.run),
    ("fuse_bias", fuse_bias.run),
    ("recognise_binary", recognise_binary.run),
    ("recognise_add", recognise_add.run),
    ("fuse_residual", fuse_residual.run),
    ("fuse_activation", fuse_activation.run),
    ("drop_dead", drop_dead.run),
    ("recognise_qdq", recognise_qdq.run),
    ("fuse_logit", fuse_logit.run),
    ("fuse_block", fuse_block.run),
    ("fuse_bits_network", fuse_bits_network.run),
    ("copy_outputs", copy_outputs.run),
)
"""(name, pass) in order."""
