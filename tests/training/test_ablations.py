"""The benchmark of paper 002's ablations, on a few samples: its networks, its start, its runner."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from csideploy import registry
from csideploy.channels.generate import generate_file
from csideploy.errors import InputError
from csideploy.planning.results import read_results
from csideploy.systems.link import count_macs, count_parameters
from csideploy.training import load_checkpoint
from csideploy.training.evaluate import measure, validation_nmse_db

ACTIVATIONS = ("prelu", "sprelu", "lrelu")


@pytest.fixture(scope="module")
def bench_modules(repository):
    """The benchmark's modules, which import one another by their names."""
    sys.path.insert(0, str(repository / "benchmarks"))
    try:
        import ablation_jobs
        import ablation_networks
        import ablation_results
        import ablation_runs
        import ablation_start
    finally:
        sys.path.pop(0)
    return SimpleNamespace(
        jobs=ablation_jobs,
        networks=ablation_networks,
        results=ablation_results,
        runs=ablation_runs,
        start=ablation_start,
    )


@pytest.fixture(scope="module")
def bench(bench_modules, tmp_path_factory):
    """Runs of a few steps on generated channels."""
    folder = tmp_path_factory.mktemp("ablations")
    for name, samples, seed in (("indoor", 400, 1), ("held", 60, 2)):
        generate_file(folder / f"{name}.npz", "indoor", samples, seed=seed)
    budget = bench_modules.runs.Budget(link=0.3, wide=0.3, variant=0.3)
    made = bench_modules.runs.Bench(
        folder / "indoor.npz", folder / "held.npz", folder / "runs", budget
    )
    made.prepare()
    return made


def test_activations_have_their_own_numbers_of_slopes(bench_modules):
    counts = {
        activation: count_parameters(
            bench_modules.networks.build_variant(bench_modules.jobs.VariantJob(4, activation))
        )
        for activation in ACTIVATIONS
    }
    spec = registry.get("acrnet1x")
    assert counts["prelu"] == sum(registry.parameters(spec, 4, "none").values()) == 2_102_344
    # Slopes, one a channel: the encoder's five layers have 2 channels; the decoder's head 2, its
    # two blocks 8, 8 and 2. A slope a layer leaves 5 + 7.
    slopes = 5 * 2 + 2 + 2 * (8 + 8 + 2)
    assert counts["prelu"] - counts["sprelu"] == slopes - 12
    assert counts["prelu"] - counts["lrelu"] == slopes


def test_wider_and_deeper_networks_have_equal_operations(bench_modules):
    def operations(k, blocks):
        link = bench_modules.networks.build_variant(
            bench_modules.jobs.VariantJob(64, k=k, blocks=blocks)
        )
        return count_macs(link.decoder, torch.zeros(1, link.features))

    assert operations(1, 2) == registry.macs(registry.get("acrnet1x"), 64)["decoder"]
    assert operations(2, 2) == operations(1, 4)
    assert operations(4, 2) == operations(1, 8)


def test_the_start_is_one_function_for_all_variants(bench_modules, bench):
    x = bench.training.validation()
    made = {}
    for activation, k, blocks in ((a, 1, 2) for a in ACTIVATIONS):
        made[activation] = start_of(bench_modules, bench, activation, k, blocks)
    made["deep"] = start_of(bench_modules, bench, "prelu", 1, 4)
    made["wide"] = start_of(bench_modules, bench, "prelu", 2, 2)
    out = {name: link(x) for name, link in made.items()}
    for name in ("sprelu", "lrelu", "deep", "wide"):
        # float32 through other layers; x is in [0, 1].
        torch.testing.assert_close(out[name], out["prelu"], rtol=0, atol=1e-5)
    mean, components = bench.code[0], bench.code[1][: registry.features(16)]
    flat = x.flatten(1)
    linear = (flat - mean) @ components.T @ components + mean
    error = (linear - flat).square().sum(1) / (flat - 0.5).square().sum(1)
    limit = 10 * torch.log10(error.mean())
    # What the knees leave of the sigmoid's bend, 0.018 of x at most, moves it by less than 0.3 dB.
    assert limit - 0.3 < validation_nmse_db(made["prelu"], x) < limit + 0.3


def start_of(bench_modules, bench, activation, k, blocks):
    torch.manual_seed(3)
    job = bench_modules.jobs.VariantJob(16, activation, k=k, blocks=blocks)
    link = bench_modules.networks.build_variant(job)
    bench_modules.start.start(link, bench.training.first(100), bench.code)
    return link.requires_grad_(False).eval()


def test_a_finished_run_is_read_and_not_trained_again(bench_modules, bench):
    job = bench_modules.jobs.LinkJob(1, 16, 4, "encoder")
    row = bench.row(job)
    assert row["samples"] == 60
    assert row["payload_bits"] == 512
    assert row["measured_in"] == "runtime"
    # A few codes at the quantizer's edges may differ between torch and the runtime.
    link, _ = load_checkpoint(bench.out / job.name)
    assert row["nmse_db"] == pytest.approx(measure(link, bench.test)["nmse_db"], abs=0.01)
    weights = bench.out / job.name / "weights.safetensors"
    weights.unlink()
    assert bench.row(job) == row
    assert not weights.exists()

    rows = {"product": [row], "grid": [row], "activation": [], "width": []}
    lines = bench.out / "lines.jsonl"
    other = {
        **bench_modules.results.result_line(row, bench),
        "command": "csideploy train x --out y",
    }
    lines.write_text(json.dumps(other) + "\n")
    for _ in range(2):
        assert bench_modules.results.write_lines(rows, bench, lines) == 1
    foreign, ours = read_results(lines)
    assert foreign.command == other["command"]
    assert ours.nmse_db == row["nmse_db"]
    assert "--cr 16 --bits 4 --binarize encoder --recipe zoo-cpu --epochs 0.3" in ours.command


def test_variants_are_trained_from_the_same_order_and_go_on(bench_modules, bench):
    rows = [bench.row(bench_modules.jobs.VariantJob(64, activation)) for activation in ACTIVATIONS]
    figures = {row["nmse_db"] for row in rows}
    # Other slopes learn otherwise, but in two steps from one start they cannot lie far apart.
    assert len(figures) > 1
    assert max(figures) - min(figures) < 1
    assert not list(bench.out.glob("*/checkpoint.pt.*"))

    again = bench.out / "again"
    job = bench_modules.jobs.VariantJob(64, "sprelu")
    made = [
        bench_modules.networks.train_variant(
            job, bench.training, bench.code, again, epochs=0.3, batch=50
        )
        for _ in range(2)
    ]
    first, second = (dict(link.state_dict()) for link, _ in made)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert made[0][1]["training"]["minutes"] == made[1][1]["training"]["minutes"]


def test_a_folder_with_other_budgets_is_refused(bench_modules, bench):
    other = bench_modules.runs.Bench(
        bench.data, bench.test, bench.out, bench_modules.runs.Budget(link=0.4)
    )
    with pytest.raises(InputError, match="other options or data"):
        other.prepare()
