"""The compiler: ONNX to graph, plan and bundle.

The names below are loaded when they are used: `import csideploy.export` costs nothing, and only
`export_part` needs torch.
"""

from importlib import import_module
from typing import Any

_WHERE = {
    "Plan": "plan",
    "compile_model": "compile",
    "costs": "macs",
    "export_part": "torch_onnx",
    "inline_functions": "inline",
    "supported_ops": "supported",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
