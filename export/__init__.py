"""The compiler: ONNX to graph, plan and bundle.

The names below are loaded when they are used: `import csideploy.export` costs nothing, and only
`export_part` needs torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from csideploy.export.compile import compile_model
    from csideploy.export.inline import inline_functions
    from csideploy.export.macs import costs
    from csideploy.export.plan import Plan
    from csideploy.export.supported import supported_ops
    from csideploy.export.torch_onnx import export_part

_WHERE = {
    "Plan": "plan",
    "compile_model": "compile",
    "costs": "macs",
    "export_part": "torch_onnx",
    "inline_functions": "inline",
    "supported_ops": "supported",
}

__all__ = [
    "Plan",
    "compile_model",
    "costs",
    "export_part",
    "inline_functions",
    "supported_ops",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
