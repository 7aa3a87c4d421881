"""Cross-built code against binutils' own `size`, and instruction counts against known loops."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from csideploy.cross.footprint import Weight, compile_objects, weigh
from csideploy.cross.instructions import count, count_trace
from csideploy.cross.map_file import read_map
from csideploy.cross.program import Program, write_program
from csideploy.cross.tool_chain import ToolChain, missing_tools
from csideploy.errors import CsideployError, InputError
from csideploy.export.bundle_read import read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.report.builds import HOST_CHAIN, read

SEEDS = Path(__file__).parents[1] / "runtime" / "data" / "seeds"
SOFTMAX = (SEEDS / "softmax.csib").read_bytes()
FORCED = (SEEDS / "zero_forcing.csib").read_bytes()
TARGETS = ("cortex-m4", "cortex-m55", "cortex-a53", "host")


def chain_of(target: str) -> ToolChain:
    """The target's own tool chain; skips where it is not installed."""
    chain = HOST_CHAIN if target == "host" else read([target])[0].chain
    missing = missing_tools([chain])
    if missing:
        pytest.skip(missing)
    return chain


def sections(chain: ToolChain, elf: Path) -> dict[str, int]:
    """`size -A`: bytes by section."""
    tool = chain.compiler.removesuffix("gcc") + "size"
    said = subprocess.run([tool, "-A", str(elf)], capture_output=True, text=True, check=True)
    rows = [line.split() for line in said.stdout.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[1].isdigit()}


def totals(chain: ToolChain, elf: Path) -> tuple[int, int, int]:
    """`size`: text, data, bss."""
    tool = chain.compiler.removesuffix("gcc") + "size"
    said = subprocess.run([tool, str(elf)], capture_output=True, text=True, check=True)
    text, data, bss = said.stdout.splitlines()[1].split()[:3]
    return int(text), int(data), int(bss)


def build(chain: ToolChain, folder: Path, *bundles: bytes) -> tuple[Weight, Program]:
    """Weighed in `folder`, where `linked.elf` stays."""
    program = write_program(folder / "c", bundles, running=())
    return weigh(chain, program, compile_objects(chain, program, folder), folder), program


@pytest.mark.parametrize("target", TARGETS)
def test_bytes_are_those_that_size_counts(target: str, tmp_path: Path) -> None:
    chain = chain_of(target)
    weight, program = build(chain, tmp_path, SOFTMAX, FORCED)
    elf = tmp_path / "linked.elf"
    found = sections(chain, elf)
    # 2 % are asked for; nothing is left out of the sums, padding included: they are equal.
    assert weight.text == found[".text"]
    assert weight.rodata + weight.bundle == found[".rodata"]
    text, data, bss = totals(chain, elf)
    assert weight.flash == text + data
    assert weight.bss + weight.arena == bss
    # The bundles are the .csib without their golden vectors; parts of a side share an arena.
    plans = [read_whole(bundle).plan for bundle in (SOFTMAX, FORCED)]
    assert weight.bundle == program.bundle_bytes == sum(len(write_bundle(p)) for p in plans)
    assert weight.arena == program.arena_bytes == plans[1].arena_bytes > plans[0].arena_bytes
    assert sum(weight.objects.values()) == weight.text + weight.rodata
    assert {"verify.o", "exec.o", "crc32.o", "softmax.o", "zero_forcing.o"} <= weight.objects.keys()
    assert not {"conv2d.o", "matmul.o"} & weight.objects.keys()


LOOPS = 30_000_000
STUB = r"""
#include "csideploy/csideploy.h"
const csd_kernel csd_reference_kernels[CSD_OP_LAST + 1u];
csd_status csd_open(csd_part *part, const void *b, size_t n, const csd_kernel *k) {
    (void)part; (void)b; (void)n; (void)k; return CSD_OK;
}
csd_status csd_set_arena(csd_part *part, void *arena, size_t n) {
    (void)part; (void)arena; (void)n; return CSD_OK;
}
csd_status csd_run(csd_part *part, const csd_call *call) {
    (void)part; (void)call;
    unsigned long left = LOOPS;
    __asm__ volatile("1: subs %0, %0, #1\n\tbne 1b" : "+r"(left) : : "cc");
    return CSD_OK;
}
"""


@pytest.mark.parametrize(
    ("target", "loops"),
    # SysTick has 24 bits: 60 million instructions make it wrap three times.
    [("cortex-m4", LOOPS), ("cortex-m55", LOOPS), ("cortex-m4", 7), ("cortex-a53", 50_000)],
)
def test_a_known_loop_is_counted(target: str, loops: int, tmp_path: Path) -> None:
    chain = chain_of(target)
    program = write_program(tmp_path / "c", [SOFTMAX], running=())
    calls = "static const csd_call csd_calls[1];\n"
    calls += "static const struct { const uint8_t *data; size_t bytes; } csd_models[1];\n"
    header = '#include "csideploy/csideploy.h"\n#include "parts.h"\n#define CSD_CALLS 1u\n'
    (program.folder / "calls.h").write_text(header + calls)
    stub = tmp_path / "stub.c"
    stub.write_text(STUB)
    made = tmp_path / "stub.o"
    include = f"-I{program.folder / 'runtime/include'}"
    command = [chain.compiler, *chain.flags, f"-DLOOPS={loops}ul", include, "-c", str(stub)]
    subprocess.run([*command, "-o", str(made)], check=True)
    counted = count(chain, program, [made], tmp_path)
    # A call, a return, a status; of the SysTick interrupt some 20 more each time that it wraps.
    assert 0 <= counted.instructions - 2 * loops <= 100
    assert (counted.stack is None) == (not chain.board)


def test_a_trace_is_added_up_block_by_block() -> None:
    trace = b"""----------------
IN: main
0x00400600:  d503201f  nop
0x00400604:  94000086  bl       #0x400844

Trace 0: 0x7f18b9400100 [0000000000001001/0000000000400600/00000001/00000200] main
IN: csd_count_begin
0x00400700:  d65f03c0  ret

Trace 0: 0x7f18b9400200 [0000000000001001/0000000000400700/00000001/00000200] csd_count_begin
IN: csd_run
0x00400800:  d503201f  nop
0x00400804:  d503201f  nop
0x00400808:  54ffffc1  b.ne     #0x400800

Trace 0: 0x7f18b9400300 [0000000000001001/0000000000400800/00000001/00000200] csd_run
Trace 0: 0x7f18b9400300 [0000000000001001/0000000000400800/00000001/00000200] csd_run
Trace 0: 0x7f18b9400400 [0000000000001001/0000000000400700/00000001/00000200] csd_count_end
Trace 0: 0x7f18b9400300 [0000000000001001/0000000000400800/00000001/00000200] csd_run
"""
    assert count_trace(trace.splitlines(keepends=True)) == 6
    unlisted = trace.replace(b"IN: csd_run\n0x00400800", b"IN: csd_run\n0x00400804")
    with pytest.raises(CsideployError, match="lists no block at 0x400800"):
        count_trace(unlisted.splitlines(keepends=True))


def test_a_map_is_read_with_long_names_padding_and_merged_strings() -> None:
    pieces = read_map(
        """Linker script and memory map

.text           0x0000000000008000      0x108
 *(.text.unlikely .text.*_unlikely)
 .text.csd_open
                0x0000000000008000      0x100 objects/verify.o
                0x0000000000008000                csd_open
 *fill*         0x0000000000008100        0x2 \n"""
        """ .text          0x0000000000008102        0x4 /usr/lib/libc.a(lib_a-memcpy.o)
 .text.empty    0x0000000000008106        0x0 objects/exec.o

.rodata         0x0000000000009000       0x10
 .rodata.str1.4
                0x0000000000009000       0x10 objects/status.o
                                         0x14 (size before relaxing)
 .rodata.str1.4
                0x0000000000009010        0x8 objects/verify.o

.comment        0x0000000000000000       0x26
 .comment       0x0000000000000000       0x26 objects/verify.o
"""
    )
    assert [(p.section, p.name, p.size) for p in pieces] == [
        (".text", ".text.csd_open", 256),
        (".text", "padding", 2),
        (".text", ".text", 4),
        (".text", "padding", 2),
        (".rodata", ".rodata.str1.4", 16),
    ]


def test_what_fails_says_so_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="board 'no_such_board': mps2_an386, mps3_an547 are known"):
        replace(HOST_CHAIN, board="no_such_board")
    if shutil.which("gcc") is None:
        pytest.skip("not installed: gcc")
    program = write_program(tmp_path / "c", [SOFTMAX], running=())
    wrong = replace(HOST_CHAIN, flags=("-mno-such-option",))
    with pytest.raises(CsideployError, match=r"gcc ended with 1: .*no-such-option"):
        compile_objects(wrong, program, tmp_path)
