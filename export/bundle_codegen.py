"""Generates what must agree with `bundle_fields`: four C headers and docs/bundle-format.md."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

from csideploy.export import bundle_fields as bf
from csideploy.export import operation_rules as rules
from csideploy.export.operations import OPS, Activation, Op, PadMode
from csideploy.export.plan import DType, Storage

_C_TYPE = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t"}
_TABLE_KINDS = (
    bf.Kind.EXACT,
    bf.Kind.COUNT,
    bf.Kind.ENUM,
    bf.Kind.NAME,
    bf.Kind.TENSOR,
    bf.Kind.PRODUCER,
    bf.Kind.ZERO,
)
_NOTICE = (
    "/* Generated from export/bundle_fields.py: do not edit.\n"
    "   python -m csideploy.export.bundle_fields --write */"
)


def outputs() -> dict[str, str]:
    """Path in the repository -> text of every generated file."""
    return {
        "runtime/include/csideploy/ops.h": ops_header(),
        "runtime/include/csideploy/op_roles.h": roles_header(),
        "runtime/include/csideploy/format.h": format_header(),
        "runtime/src/tables.h": tables_header(),
        "docs/bundle-format.md": page(),
    }


def _enum(name: str, prefix: str, members: list[tuple[str, int]]) -> str:
    body = ",\n".join(f"    {prefix}{key} = {value}" for key, value in members)
    return f"typedef enum {name} {{\n{body}\n}} {name};\n"


def _role(role: str) -> str:
    return role.removesuffix("?").upper()


def ops_header() -> str:
    """Operations, element types and limits; with `op_roles.h`, all that a kernel knows."""
    parts = [
        _NOTICE,
        "/* Operations: codes, element types and limits. */",
        "#ifndef CSIDEPLOY_OPS_H\n#define CSIDEPLOY_OPS_H\n",
        _enum("csd_dtype", "CSD_", [(d.name, d) for d in DType]),
        _enum("csd_activation", "CSD_ACT_", [(a.name, a) for a in Activation]),
        _enum("csd_pad_mode", "CSD_PAD_MODE_", [(m.name, m) for m in PadMode]),
        *_function_enums(),
        _enum("csd_op", "CSD_OP_", [(o.name, o) for o in Op]),
        f"#define CSD_OP_LAST {max(Op)}u",
        _for_each_op(),
        f"#define CSD_MAX_RANK {bf.MAX_RANK}u",
        f"#define CSD_MAX_INPUTS {bf.MAX_INPUTS}u",
        f"#define CSD_MAX_OUTPUTS {bf.MAX_OUTPUTS}u",
        f"#define CSD_MAX_PARAMS {bf.MAX_PARAMS}u",
        '\n#include "csideploy/op_roles.h"',
    ]
    return "\n".join([*parts, "\n#endif", ""])


def roles_header() -> str:
    """The order of each operation's inputs, outputs and parameters."""
    parts = [
        _NOTICE,
        "/* The order of each operation's inputs, outputs and parameters; ops.h includes it. */",
        "#ifndef CSIDEPLOY_OP_ROLES_H\n#define CSIDEPLOY_OP_ROLES_H",
    ]
    for op, spec in OPS.items():
        members = [f"    CSD_{op.name}_{_role(r)} = {i}" for i, r in enumerate(spec.inputs)]
        members += [f"    CSD_{op.name}_OUT_{_role(r)} = {i}" for i, r in enumerate(spec.outputs)]
        members += [f"    CSD_{op.name}_P_{p.upper()} = {i}" for i, p in enumerate(spec.params)]
        parts.append("\nenum {\n" + ",\n".join(members) + "\n};")
    return "\n".join([*parts, "\n#endif", ""])


def _function_enums() -> list[str]:
    """The enumerations that the parameter `function` chooses from, each once."""
    kinds = dict.fromkeys(codes for codes, _ in rules.FUNCTIONS.values())
    return [
        _enum(f"csd_{k.__name__.lower()}", f"CSD_{k.__name__.upper()}_", [(c.name, c) for c in k])
        for k in kinds
    ]


def _for_each_op() -> str:
    """X(NAME, name) for every operation, so that no other list of them is kept by hand."""
    rows = [f"    X({op.name}, {op.name.lower()})" for op in Op]
    return " \\\n".join(["#define CSD_FOR_EACH_OP(X)", *rows])


def format_header() -> str:
    """Records of a bundle as C structures, and the format's constants."""
    constants = {
        "CSD_MAGIC": bf.MAGIC,
        "CSD_FORMAT_MAJOR": bf.MAJOR,
        "CSD_FORMAT_MINOR": bf.MINOR,
        "CSD_BUNDLE_ALIGN": bf.ALIGN,
        "CSD_NONE": bf.NONE,
        "CSD_DIM_N": bf.DIM_N,
        "CSD_DIM_K": bf.DIM_K,
        "CSD_DIM_MAX": bf.DIM_MAX,
        "CSD_MAX_TENSOR_BYTES": bf.MAX_TENSOR_BYTES,
        "CSD_SECTION_REQUIRED": bf.SECTION_REQUIRED,
    }
    parts = [
        _NOTICE,
        "/* Records of a .csib bundle, as they lie in the file: little-endian, read in place. */",
        "#ifndef CSIDEPLOY_FORMAT_H\n#define CSIDEPLOY_FORMAT_H\n",
        "#include <stdint.h>\n",
        '#include "csideploy/ops.h"\n',
        *(f"#define {name} 0x{value:08X}u" for name, value in constants.items()),
        "",
        _enum("csd_storage", "CSD_STORAGE_", [(s.name, s) for s in Storage]),
        _enum("csd_section_id", "CSD_SECTION_", [(s.name.upper(), s.id) for s in bf.SECTIONS]),
        f"#define CSD_SECTION_KNOWN {len(bf.SECTIONS)}u\n",
    ]
    for record in bf.RECORDS:
        name = f"csd_{record.name}_record"
        lines = [f"typedef struct {name} {{"]
        for f in record.fields:
            array = f"[{f.count}]" if f.count > 1 else ""
            lines.append(f"    {_C_TYPE[f.type]} {f.name}{array}; /* {f.text} */")
        lines.append(f"}} {name};")
        # A compiler that pads a record gets an array of negative size here.
        lines.append(f"typedef char {name}_is_packed[sizeof({name}) == {record.size} ? 1 : -1];\n")
        parts += lines
    return "\n".join([*parts, "#endif", ""])


def tables_header() -> str:
    """The verifier's tables: every field with its kind, every operation with its rules."""
    parts = [
        _NOTICE,
        "/* What the verifier checks by table. */",
        "#ifndef CSIDEPLOY_TABLES_H\n#define CSIDEPLOY_TABLES_H\n",
        "#include <stddef.h>\n#include <stdint.h>\n",
        '#include "csideploy/format.h"\n',
        _enum("csd_kind", "CSD_KIND_", [(k.name, i) for i, k in enumerate(_TABLE_KINDS)]),
        "typedef struct csd_field {\n    const char *name;\n    uint32_t lo;\n    uint32_t hi;\n"
        "    uint8_t offset;\n    uint8_t width;\n    uint8_t kind;\n} csd_field;\n",
        "typedef struct csd_section_rule {\n    uint32_t width;\n    uint32_t most;\n"
        "    uint32_t required;\n} csd_section_rule;\n",
        _enum("csd_param_kind", "CSD_PARAM_", [(k.name, k) for k in rules.ParamKind]),
        "typedef struct csd_param_rule {\n    uint32_t kind;\n    uint32_t lo;\n"
        "    uint32_t hi;\n} csd_param_rule;\n",
        "/* optional, constant, in_place: bit i stands for input i. in_dtypes, out_dtypes: bit d\n"
        "   stands for element type d. same_in, same_out: roles that share one type. */",
        "typedef struct csd_op_rule {\n    uint8_t inputs;\n    uint8_t outputs;\n"
        "    uint8_t params;\n    uint8_t optional;\n    uint8_t constant;\n    uint8_t in_place;\n"
        "    uint8_t same_in;\n    uint8_t same_out;\n"
        "    uint8_t in_dtypes[CSD_MAX_INPUTS];\n    uint8_t out_dtypes[CSD_MAX_OUTPUTS];\n"
        "    const csd_param_rule *rules;\n} csd_op_rule;\n",
    ]
    for record in bf.RECORDS:
        parts.append(f"static const csd_field csd_{record.name}_fields[] = {{")
        for f in record.fields:
            if f.kind in _TABLE_KINDS:
                row = f'"{f.name}", {f.lo}u, {f.hi}u, {record.offset(f.name)}, {f.size}'
                parts.append(f"    {{{row}, CSD_KIND_{f.kind.name}}},")
        parts.append("};\n")
    parts.append("/* By section id; index 0 is no section. */")
    parts.append("static const csd_section_rule csd_sections[CSD_SECTION_KNOWN + 1u] = {\n")
    parts.append("    {0u, 0u, 0u},")
    parts += [
        f"    {{{s.record.size}u, {_most(s)}u, {int(s.required)}u}}, /* {s.name} */"
        for s in bf.SECTIONS
    ]
    parts.append("};\n")
    for op in Op:
        parts += _param_table(op)
    parts.append("/* By operation code; a row of zeros is no operation. */")
    parts.append("static const csd_op_rule csd_op_rules[CSD_OP_LAST + 1u] = {")
    none = "    {0, 0, 0, 0, 0, 0, 0, 0, {0}, {0}, NULL},"
    codes = {int(op): op for op in Op}
    parts += [_op_row(codes[i]) if i in codes else none for i in range(max(codes) + 1)]
    return "\n".join([*parts, "};\n", "#endif", ""])


def _most(section: bf.Section) -> int:
    """Records of a section, so that its bytes fit a 32-bit host's ptrdiff_t."""
    return min(section.most, bf.DIM_MAX // section.record.size)


def _param_table(op: Op) -> list[str]:
    found = rules.param_rules(op)
    if not found:
        return []
    rows = []
    for name, rule in found:
        if rule.kind is rules.ParamKind.I32_RANGE:
            limits = f"(uint32_t){rule.lo}, {rule.hi}"
        else:
            limits = f"{rule.lo}u, {rule.hi}u"
        rows.append(f"    {{CSD_PARAM_{rule.kind.name}, {limits}}}, /* {name} */")
    head = f"static const csd_param_rule csd_{op.name.lower()}_params[] = {{"
    return [head, *rows, "};\n"]


def _dtype_mask(op: Op, role: str) -> int:
    return sum(1 << dtype for dtype in rules.role_dtypes(op, role))


def _op_row(op: Op) -> str:
    spec = OPS[op]
    roles = [r.removesuffix("?") for r in spec.inputs]
    optional = sum(1 << i for i, r in enumerate(spec.inputs) if r.endswith("?"))
    constant = sum(1 << i for i, r in enumerate(roles) if r in rules.CONSTANT_ROLES)
    in_place = sum(1 << i for i, r in enumerate(spec.inputs) if r in rules.IN_PLACE.get(op, ()))
    same = rules.SAME_DTYPE.get(op, ())
    same_in = sum(1 << i for i, r in enumerate(roles) if r in same)
    same_out = sum(1 << i for i, r in enumerate(spec.outputs) if r in same)
    types_in = ", ".join(str(_dtype_mask(op, r)) for r in roles)
    types_out = ", ".join(str(_dtype_mask(op, r)) for r in spec.outputs)
    limits = f"csd_{op.name.lower()}_params" if spec.params else "NULL"
    return (
        f"    {{{len(roles)}, {len(spec.outputs)}, {len(spec.params)}, {optional}, {constant}, "
        f"{in_place}, {same_in}, {same_out}, {{{types_in}}}, {{{types_out}}}, {limits}}}, "
        f"/* {op.name} */"
    )


_INTRO = f"""# The bundle format (.csib), version {bf.MAJOR}.{bf.MINOR}

Generated from `export/bundle_fields.py` by `python -m csideploy.export.bundle_fields --write`.

A bundle is one part of a link, compiled: a header, a directory, and sections. All numbers are
little-endian; a big-endian host refuses. Records have a fixed width and are read in place, from
a file in memory or from flash; the bundle must start at a multiple of {bf.ALIGN} bytes.

**Trust.** A bundle is not trusted. The verifier runs at every load, allocates nothing, and checks
every field by the kind in the tables below, every size in 64-bit arithmetic. After it accepts, no
input and no payload makes the runtime crash or touch memory outside the bundle, the arena and
the caller's buffers. The CRC32s catch accidents, not attackers. A bundle that passes may still
compute nonsense or take long: where a file comes from remains the user's judgement.

**Versions.** A reader accepts its own major version and a minor version that is not newer; the
message names both. A section that a reader does not know is refused if it is flagged as required
and skipped otherwise. `reserved` fields are 0. Version 1.1 added operations 12 and above, the types
i8, i16 and i32, and CONCAT's axis, so that a 1.0 file with CONCAT is refused: compile it anew.
Version 1.2 added operations 40 to 44, and payloads whose codes have a number of bits each. Version
1.3 added operations 45 and 46, and payloads of several users. Version 1.4 added operations 47 to
50; TABLE_SEARCH and GRADIENT_SEARCH have a second output, `scratch`, which lies in the arena. With
version 1.5, which added operations 51 to 53, golden vectors have k = k_max: one user alone meets
none. Version 1.6 added operations 55, whose second output is `scratch` as well, 56 and 57; 1.7 gave
CONV_BLOCK three scales and weights i16, so that a 1.6 file with one is refused: compile it anew.

**Payload.** Codes in order, MSB first, zero pad at the end of a sample. `bits` 0 stands for the
`widths` of the PACK_WIDTHS or UNPACK_WIDTHS that makes or reads the payload, which the part must
have. The part has an input or output u8 (n, bytes), or u8 (n, users, bytes), one message a user.

**Order.** Header, directory, sections in ascending order of id. A section starts at the end of
the one before, rounded up to {bf.ALIGN}; the first starts after the directory. The bytes between
are 0, so there are no holes and no overlaps. The file's length is a multiple of {bf.ALIGN}.
The CRC32 is that of zlib (polynomial 0x04C11DB7, reflected, inverted at start and end).

**Dimensions.** 0x80000001 stands for n, the batch, in the first dimension only; 0x80000002 stands
for k, the number of users, at most once. All other dimensions are at least 1. No tensor has more
than 2^31 - 1 bytes at n = n_max and k = k_max.

**Tensors.** Several tensors may share bytes: a reshape is a second tensor of the same place and
size. `producer` names the step that writes those bytes, always before the step that reads them,
so a cycle cannot be written down; no step between the two writes into them, and none after it into
an output of the part. So a run reads no byte of the arena that it has not written, and its results
depend on its inputs alone. An output never overlaps an input of its step, unless the operation runs
in place and the bytes are exactly the same. A part has at most {bf.MAX_STEPS} steps, which bounds
the time of these checks.
"""


def page() -> str:
    """docs/bundle-format.md."""
    parts = [_INTRO, "## Sections\n", "| id | section | required | record | content |"]
    parts.append("|---:|---|---|---|---|")
    for s in bf.SECTIONS:
        width = f"{s.record.name}, {s.record.size} B"
        parts.append(
            f"| {s.id} | {s.name} | {'yes' if s.required else 'no'} | {width} | {s.text} |"
        )
    parts.append("\n`operand`: u32, an index into `tensors`, or NONE (0xFFFFFFFF) where the")
    parts.append("operation lets an input be absent. `param`: u32, or the bits of a float32.")
    for record in bf.RECORDS:
        parts += [f"\n## Record `{record.name}` ({record.size} bytes)\n"]
        parts += ["| offset | field | type | must be | meaning |", "|---:|---|---|---|---|"]
        for f in record.fields:
            type_ = f.type if f.count == 1 else f"{f.type} x {f.count}"
            rule = f.kind.value
            if f.kind in (bf.Kind.COUNT, bf.Kind.ENUM):
                rule += f" {f.lo}..{f.hi}"
            if f.kind is bf.Kind.EXACT:
                rule += f" {f.lo}"
            parts.append(f"| {record.offset(f.name)} | {f.name} | {type_} | {rule} | {f.text} |")
    parts += ["\n## Operations\n", "`?` marks an input that may be absent, `*` one that must be a"]
    parts += ["constant, `=` one whose bytes the output may take.\n"]
    parts += ["| code | operation | inputs | outputs | parameters |", "|---:|---|---|---|---|"]
    parts += [_page_op(op) for op in Op]
    parts += ["\n## Parameters\n", "| name | type | range | when the plan leaves it out |"]
    parts.append("|---|---|---|---|")
    for name, limits in rules.PARAM_RULES.items():
        own = [(op, r) for (op, param), r in rules.OWN_RULES.items() if param == name]
        span = _span(limits) + "".join(
            f"; {op.name}: {_span(r)}" for op, r in own if _span(r) != _span(limits)
        )
        default = _default(limits)
        default += "".join(
            f"; {op.name}: {_default(r)}" for op, r in own if r.default != limits.default
        )
        parts.append(f"| {name} | {limits.kind.type} | {span} | {default} |")
    parts.append("\nCONV_BLOCK's x_scale and m_scale are powers of two from 2^-126 to 2^126 where")
    parts.append("its weights are integers in all three convolutions, else 1, as is y_scale.")
    parts.append("\n`function` chooses from a list of its operation; the other codes too:\n")
    parts += [f"- `activation`: {_codes(Activation)}", f"- `mode`: {_codes(PadMode)}"]
    parts += [f"- {op.name}: {_codes(codes)}" for op, (_, codes) in rules.FUNCTIONS.items()]
    return "\n".join([*parts, ""])


def _span(limits: rules.ParamRule) -> str:
    return {
        rules.ParamKind.F32_FINITE: "finite",
        rules.ParamKind.F32_POSITIVE: "finite, above 0",
    }.get(limits.kind, f"{limits.lo}..{limits.hi}")


def _default(limits: rules.ParamRule) -> str:
    return "an error" if limits.default is None else str(int(limits.default))


def _codes(codes: Iterable[IntEnum]) -> str:
    return ", ".join(f"{int(code)} {code.name.lower()}" for code in codes)


def _page_op(op: Op) -> str:
    spec = OPS[op]

    def show(role: str) -> str:
        name = role.removesuffix("?")
        dtypes = rules.role_dtypes(op, name)
        marks = ("?" if role.endswith("?") else "") + ("*" if name in rules.CONSTANT_ROLES else "")
        marks += "=" if role in rules.IN_PLACE.get(op, ()) else ""
        types = "/".join(dtype.name.lower() for dtype in dtypes)
        return f"{name}{marks} {'any' if len(dtypes) == len(DType) else types}"

    cells = (
        ", ".join(map(show, spec.inputs)),
        ", ".join(map(show, spec.outputs)),
        ", ".join(spec.params) or "none",
    )
    return f"| {int(op)} | {op.name} | " + " | ".join(cells) + " |"


def repository() -> Path:
    """The checkout that this module lies in; the generated files are not in a wheel."""
    root = Path(__file__).resolve().parent.parent
    if not (root / "runtime" / "include").is_dir():
        raise SystemExit("bundle_fields: not in a checkout of the repository: nothing to write")
    return root


def main(arguments: list[str] | None = None) -> int:
    """Writes the generated files (--write), or says which are stale and returns 1."""
    write = (sys.argv[1:] if arguments is None else arguments) == ["--write"]
    root = repository()
    stale = 0
    for name, text in outputs().items():
        path = root / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if write:
            path.write_text(text, encoding="utf-8")
        print(f"{'written' if write else 'stale'}: {name}")
    return 0 if write else int(stale > 0)
