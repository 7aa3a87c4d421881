"""`--emit c`: a part as a folder of C99 for a device.

The bundle becomes a constant array; beside it stand the runtime, the kernels that the part uses and
no others, a program that runs golden vectors, a CMake file and a page to read. The bytes are those
of the `.csib` without its vectors: one executor, two carriers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy import runtime
from csideploy.errors import FormatError, InputError
from csideploy.export.bundle_read import read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op, Plan
from csideploy.runtime import Part, TensorInfo

Array = NDArray[Any]
Arrays = Mapping[str, Array]

GOLDEN_SAMPLES = 2
"""Vectors that go along: enough to find a broken build, small enough for a device's flash."""

TOLERANCE = 1e-4
"""Of float outputs, of the largest magnitude or of 1: the bound of every fp32 path."""

_TEMPLATES = Path(__file__).parent / "device"
_RUNTIME = Path(runtime.__file__).parent
# Installed, kernels/ stands beside runtime/ in the package; in a checkout, at its top.
_KERNELS = _RUNTIME.parent / "kernels"


def emit_c(
    bundle: bytes, *, title: str, vectors: Arrays | None = None, samples: int = GOLDEN_SAMPLES
) -> dict[str, bytes]:
    """The files of the folder.

    Args:
        bundle: a `.csib`.
        title: its file name, for the page to read.
        vectors: golden inputs and outputs by name, the sample first; None: those in the bundle.
        samples: at most so many of them are written.

    Returns:
        Path inside the folder, with `/`, to the bytes of the file.

    Raises:
        FormatError: the bundle is refused, or does not give its golden outputs.
        InputError: there are no golden vectors, or the C sources are not installed.
    """
    whole = read_whole(bundle)
    plan = whole.plan
    given = dict(whole.vectors if vectors is None else vectors)
    stripped = write_bundle(plan)
    part = Part(stripped)
    golden = _choose(part, given, title, samples)
    names = [op.name.lower() for op in sorted({step.op for step in plan.steps})]
    files = {
        "model.h": _model_header(plan, title, len(stripped)),
        "model.c": _model_source(stripped, title),
        "vectors.h": _vectors_header(golden),
        "vectors.c": _vectors_source(golden),
        "README.md": _readme(plan, part, golden, title, len(stripped), names),
        "main.c": _template("main.c"),
        "CMakeLists.txt": _template("CMakeLists.txt"),
    }
    out = {name: text.encode() for name, text in files.items()}
    out |= sources(names)
    return out


def sources(operations: Iterable[str]) -> dict[str, bytes]:
    """The C of the runtime and of the kernels of some operations, with a list of these.

    Args:
        operations: names such as "conv2d".

    Raises:
        InputError: the sources are not there.
    """
    used = set(operations)
    if not (_RUNTIME / "src").is_dir() or not (_KERNELS / "reference").is_dir():
        raise InputError(f"the C sources are not beside {_RUNTIME}: install csideploy again")
    picked = [*_RUNTIME.glob("include/csideploy/*.h"), *_RUNTIME.glob("src/*.h")]
    picked += [path for path in _RUNTIME.glob("src/*.c") if _checks_used(path, used)]
    out = {f"runtime/{path.relative_to(_RUNTIME).as_posix()}": path for path in picked}
    for name in ("dispatch", "angular_delay"):  # of hosted builds
        del out[f"runtime/include/csideploy/{name}.h"]
    for path in _kernels(used):
        out[f"kernels/{path.relative_to(_KERNELS).as_posix()}"] = path
    files = {name: path.read_bytes() for name, path in sorted(out.items())}
    files["runtime/include/csideploy/config.h"] = _config(used).encode()
    return files


def _kernels(operations: set[str]) -> list[Path]:
    """table.c, the kernels, what they call and include, by what each file defines and names."""
    defined: dict[str, Path] = {}
    named: dict[Path, set[str]] = {}
    headers = [*_KERNELS.glob("*.h"), *_KERNELS.glob("x86/*.h"), *_KERNELS.glob("arm/*.h")]
    for path in [*headers, *_KERNELS.glob("reference/*.c")]:
        text = path.read_text(encoding="utf-8")
        named[path] = set(re.findall(r"CSD_KERNEL\((\w+)\)", text) if path.suffix == ".c" else ())
        named[path] |= set(re.findall(r'^#include "(?:\.\./)?([\w/]+\.h)"', text, re.MULTILINE))
        inside = path.relative_to(_KERNELS)
        defined[path.name if path.suffix == ".c" else inside.as_posix()] = path
        if path.suffix == ".c":
            # A definition begins its line; a call is indented.
            for name in re.findall(r"^\w.*\bCSD_KERNEL\((\w+)\)\s*\(", text, re.MULTILINE):
                defined[name] = path
    found: set[Path] = set()
    wanted = {"table.c", *operations}
    while wanted:
        path = defined[wanted.pop()]
        if path not in found:
            found.add(path)
            wanted |= named[path] & defined.keys()
    return sorted(found)


def _checks_used(path: Path, operations: set[str]) -> bool:
    """Is a source of the verifier wanted? Not if it only holds checks of other operations."""
    checks = re.findall(r"^csd_status csd_check_(\w+)\(", path.read_text("utf-8"), re.MULTILINE)
    known = {op.name.lower() for op in Op}
    return not checks or not set(checks) <= known or bool(set(checks) & operations)


def _config(operations: set[str]) -> str:
    rows = [f"    X({op.name}, {op.name.lower()})" for op in Op if op.name.lower() in operations]
    listed = " \\\n".join(rows)
    return f"""/* The operations of this part. A bundle with another one is refused (NO_KERNEL), and
   the code for it is not linked. */
#ifndef CSIDEPLOY_CONFIG_H
#define CSIDEPLOY_CONFIG_H

#include "csideploy/ops.h"

#define CSD_FOR_EACH_BUILT_OP(X) \\
{listed}

#endif
"""


@dataclass(frozen=True)
class _Golden:
    """Vectors in the order of the interface, and how many samples they have."""

    inputs: tuple[tuple[TensorInfo, Array], ...]
    outputs: tuple[tuple[TensorInfo, Array], ...]
    samples: int


def _choose(part: Part, given: Arrays, title: str, samples: int) -> _Golden:
    """The first samples whose golden outputs the part gives.

    An integer output that hangs on a float (a code of the fp32 path) may differ where the float
    lies on a threshold: such a sample proves nothing about a build and is passed over.
    """
    wanted = [info.name for info in (*part.inputs, *part.outputs)]
    missing = [name for name in wanted if name not in given]
    if missing:
        raise InputError(
            f"{title}: no golden vectors for {', '.join(missing)}: compile with --vectors 2"
        )
    inputs = [np.ascontiguousarray(given[info.name]) for info in part.inputs]
    outputs = [np.ascontiguousarray(given[info.name]) for info in part.outputs]
    made = part.run(*inputs)
    batched = all("n" in info.shape for info in (*part.inputs, *part.outputs))
    count = len(inputs[0]) if batched else 1
    rows = [slice(i, i + 1) if batched else slice(None) for i in range(count)]
    good = [
        row
        for row in rows
        if all(_agree(have[row], want[row]) for have, want in zip(made, outputs, strict=True))
    ][:samples]
    if not good:
        raise FormatError(f"{title}: the part does not give its golden outputs")

    def cut(infos: list[TensorInfo], arrays: list[Array]) -> tuple[tuple[TensorInfo, Array], ...]:
        return tuple(
            (info, np.concatenate([a[row] for row in good]) if batched else a)
            for info, a in zip(infos, arrays, strict=True)
        )

    return _Golden(cut(part.inputs, inputs), cut(part.outputs, outputs), len(good))


def _agree(have: Array, want: Array) -> bool:
    if have.dtype.kind != "f":
        return bool(np.array_equal(have, want))
    bound = TOLERANCE * max(1.0, float(np.abs(want).max()))
    return bool((np.abs(have - want) <= bound).all())


def _array(name: str, data: bytes) -> str:
    """A definition of `data` as an aligned array of bytes, sixteen a line."""
    table = np.array([f"0x{value:02x}," for value in range(256)], "S5")
    text = table[np.frombuffer(data, np.uint8)].tobytes().decode()
    lines = (text[at : at + 80] for at in range(0, len(text), 80))
    body = "\n".join(f"    {line}" for line in lines)
    return f"const CSD_ALIGNED(16) uint8_t {name}[{len(data)}] = {{\n{body}\n}};\n"


def _model_header(plan: Plan, title: str, size: int) -> str:
    return f"""/* {_comment(title)} as a constant array. csd_open verifies it at every start. */
#ifndef CSD_MODEL_H
#define CSD_MODEL_H

#include <stdint.h>

#define CSD_MODEL_BYTES {size}u
/* Working memory, exact, and its alignment. */
#define CSD_ARENA_BYTES {plan.arena_bytes}u
#define CSD_ARENA_ALIGN 16
/* Most users of a call; the golden vectors have as many. */
#define CSD_MOST_USERS {plan.k_max}u

/* C99 has no word for alignment; define it on the command line for another compiler. */
#ifndef CSD_ALIGNED
#if defined(__GNUC__) || defined(__clang__)
#define CSD_ALIGNED(n) __attribute__((aligned(n)))
#elif defined(_MSC_VER)
#define CSD_ALIGNED(n) __declspec(align(n))
#else
#error "define CSD_ALIGNED(n) for this compiler"
#endif
#endif

extern const CSD_ALIGNED(16) uint8_t csd_model[CSD_MODEL_BYTES];

#endif
"""


def _model_source(data: bytes, title: str) -> str:
    return f'/* {_comment(title)} */\n#include "model.h"\n\n{_array("csd_model", data)}'


def _vectors_header(golden: _Golden) -> str:
    space = sum(-(-array.nbytes // 16) * 16 for _, array in golden.outputs)
    return f"""/* Golden vectors, for the test alone: inputs, and what they must give. */
#ifndef CSD_VECTORS_H
#define CSD_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#define CSD_GOLDEN_SAMPLES {golden.samples}u
#define CSD_INPUT_COUNT {len(golden.inputs)}
#define CSD_OUTPUT_COUNT {len(golden.outputs)}
/* All outputs, each rounded up to 16 bytes. */
#define CSD_RESULT_BYTES {space}u

typedef struct csd_golden {{
    const char *name;
    const void *data;
    size_t bytes;
    int is_float;
}} csd_golden;

extern const csd_golden csd_golden_inputs[CSD_INPUT_COUNT];
extern const csd_golden csd_golden_outputs[CSD_OUTPUT_COUNT];

#endif
"""


def _vectors_source(golden: _Golden) -> str:
    text = '#include "vectors.h"\n\n#include "model.h"\n'
    for group, rows in (("input", golden.inputs), ("output", golden.outputs)):
        entries = ""
        for i, (info, array) in enumerate(rows):
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            text += f"\nstatic {_array(f'{group}_{i}', little.tobytes())}"
            is_float = int(array.dtype.kind == "f")
            entries += (
                f"    {{{_literal(info.name)}, {group}_{i}, sizeof {group}_{i}, {is_float}}},\n"
            )
        size = f"CSD_{group.upper()}_COUNT"
        text += f"\nconst csd_golden csd_golden_{group}s[{size}] = {{\n{entries}}};\n"
    return text


def _readme(
    plan: Plan, part: Part, golden: _Golden, title: str, size: int, operations: list[str]
) -> str:
    inputs = _identifiers(part.inputs)
    outputs = _identifiers(part.outputs)
    rows = ["| | name | element | shape, n samples |", "|---|---|---|---|"]
    rows += [f"| input | {i.name} | {i.dtype} | {_shape(i)} |" for i in part.inputs]
    rows += [f"| output | {o.name} | {o.dtype} | {_shape(o)} |" for o in part.outputs]
    users = any("k" in info.shape for info in (*part.inputs, *part.outputs))
    arguments = ["uint32_t users"] if users else []
    arguments += [f"const {_c_type(i)} *{n}" for i, n in zip(part.inputs, inputs, strict=True)]
    arguments += [f"{_c_type(o)} *{n}" for o, n in zip(part.outputs, outputs, strict=True)]
    return Template(_template("README.md")).substitute(
        part=plan.part,
        side=plan.side.upper(),
        title=title,
        bundle_bytes=f"{size:,}",
        arena_bytes=f"{plan.arena_bytes:,}",
        operations=", ".join(operations),
        samples=golden.samples,
        interface="\n".join(rows),
        arguments=", ".join(arguments),
        users="users" if users else "1",
        call=f"one sample, up to {plan.k_max} users" if users else "one sample, k = 1",
        inputs=", ".join(inputs),
        outputs=", ".join(outputs),
    )


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _comment(text: str) -> str:
    return text.replace("*/", "* /")


def _literal(text: str) -> str:
    """A C string; what is not plain ASCII is written as octal escapes."""
    escaped = (
        chr(b) if 0x20 <= b < 0x7F and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode()
    )
    return f'"{"".join(escaped)}"'


def _identifiers(infos: list[TensorInfo]) -> list[str]:
    return [re.sub(r"\W", "_", f"_{i.name}" if i.name[:1].isdigit() else i.name) for i in infos]


def _shape(info: TensorInfo) -> str:
    return f"({', '.join(map(str, info.shape))})"


def _c_type(info: TensorInfo) -> str:
    return "float" if info.dtype == "float32" else f"{info.dtype}_t"
