"""Damage with right checksums: each bundle is refused, or runs without harm, under sanitizers.

The micro-bundle is flipped bit by bit, in full; `make flips` does more, and the zoo's bundles.
"""

import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from c_build import build, compiler, run, works
from campaign import DRIVER, FUZZER, drive, zoo_bundles
from every_operation import FILE, SEEDS
from ru_bundles import FILES as RU_FILES

from csideploy.export.plan import Op
from csideploy.runtime import Part


@pytest.fixture(scope="module")
def driver(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cc = compiler("cc", "gcc", "clang")
    folder = tmp_path_factory.mktemp("sanitized")
    probe = "unsigned csd_crc32(void) { return 0; }\n"
    probe += "unsigned __wrap_csd_crc32(void) { return 0; }\nint main(void) { return 0; }"
    if not works(cc, DRIVER, folder, probe):
        pytest.skip("this compiler has no sanitizers")
    return build(repository, cc, folder / "driver", *DRIVER)


def test_every_flipped_bit_of_the_structure(driver: Path) -> None:
    """Header, directory, names, tensors, steps, operands, parameters, interface, payload, metadata
    and vectors: all bits but those of the weights and of the vectors' values."""
    counts = drive(driver, "flip", FILE, 0, 1)
    assert counts["tried"] > 60_000
    assert counts["refused"] > 50_000
    # Names, the pairing id and some parameters may hold anything.
    assert counts["harmless"] > 5_000


def test_the_zoos_structure(driver: Path, tmp_path: Path) -> None:
    """Verified only; each 7th bit of the default entry's bundles, whose plans are 16 KiB."""
    for bundle in zoo_bundles(tmp_path, "bacrnet10x"):
        counts = drive(driver, "verify", bundle, 3, 7)
        assert counts["tried"] > 3_500
        assert counts["refused"] > 2_300


@pytest.mark.parametrize("bundle", RU_FILES, ids=lambda path: str(path.stem))
def test_the_radio_units(driver: Path, bundle: Path) -> None:
    """Every bit of the structure, any weights, every length, wrong calls; all payloads run."""
    counts = drive(driver, "flip", bundle, 0, 1)
    assert counts["tried"] > 3_000
    assert counts["refused"] > 2_000
    assert drive(driver, "weights", bundle, 500)["tried"] == 500
    for verb in ("cut", "abuse", "run"):
        run([driver, verb, bundle])


def test_shaken_structure(driver: Path) -> None:
    counts = drive(driver, "shake", FILE, 10_000)
    assert counts["tried"] == 10_000
    assert counts["harmless"] > 100


def test_any_weights(driver: Path) -> None:
    counts = drive(driver, "weights", FILE, 2_000)
    # What is refused: a number that must be finite and is not, thresholds that fall, widths that
    # do not add up.
    assert counts["harmless"] > 1_200


def test_truncation_at_every_byte_and_wrong_calls(driver: Path) -> None:
    for verb in ("cut", "abuse", "run"):
        run([driver, verb, FILE])


def test_a_step_may_touch_its_operands_alone(driver: Path) -> None:
    """One byte behind a tensor, in the middle of the arena, is out of bounds in these tests."""
    result = subprocess.run([driver, "fence", FILE], capture_output=True, text=True)
    assert result.returncode != 0
    assert "use-after-poison" in result.stderr
    assert "in overreach" in result.stderr


@pytest.mark.parametrize(
    "name",
    [
        *("unpack_bits", "dequantize_uniform", "pack_bits"),
        *("unpack_widths", "dequantize_codebook", "pack_widths"),
        *("table_precoder", "rzf_precoder"),
        *("ru_table", "ru_network"),
    ],
)
def test_every_payload_byte(driver: Path, name: str) -> None:
    """All 65,536 values of each pair of bytes; what comes out is tested in test_payload_attack."""
    (seed,) = [p for p in (*SEEDS.glob("*.csib"), *RU_FILES) if p.stem == name]
    pairs = np.stack(np.divmod(np.arange(65536), 256), axis=1)
    sizes = [int(size) for size in Part(seed).inputs[0].shape[1:]]
    rows = pairs[:, np.arange(np.prod(sizes)) % 2]
    (result,) = Part(seed).run(rows.reshape(-1, *sizes).astype(np.uint8))
    assert (
        run([driver, "payload", seed])
        == f"OK\n{Part(seed).outputs[0].name} {zlib.crc32(result):08x}\n"
    )


def test_every_seed_runs() -> None:
    seeds = sorted(SEEDS.glob("*.csib"))
    assert {op.name.lower() for op in Op} <= {seed.stem for seed in seeds}
    assert len(seeds) == len(Op) + 22
    for seed in seeds:
        assert len(Part(seed).steps) == 1


def test_the_fuzzer_finds_nothing_at_once(repository: Path, tmp_path: Path) -> None:
    """A short run of what `make fuzz` runs for long; always the same mutations."""
    clang = compiler("clang")
    probe = "#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *, size_t);\n"
    probe += "int LLVMFuzzerTestOneInput(const char *d, size_t n) { return n && *d ? 0 : 0; }"
    if not works(clang, FUZZER, tmp_path, probe):
        pytest.skip("this clang has no libFuzzer")
    program = build(repository, clang, tmp_path / "fuzz", *FUZZER, main="fuzz_bundle.c")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    options = ["-seed=1", "-runs=4000", "-max_len=16384", f"-artifact_prefix={tmp_path}/"]
    run([program, *options, corpus, SEEDS, RU_FILES[0].parent])
