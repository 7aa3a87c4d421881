"""The compiler needs no torch, and says so where it does."""

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["torch"] = None
from csideploy.errors import MissingDependencyError
from csideploy.export import compile_model, export_part, inline_functions, supported_ops
try:
    export_part(None, "ue")
except MissingDependencyError as error:
    assert "csideploy[train]" in str(error), error
else:
    raise SystemExit("no error")
assert not [name for name in sys.modules if name.startswith(("onnxscript", "brevitas"))]
"""


def test_compiler_needs_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
