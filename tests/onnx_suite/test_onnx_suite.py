"""No crash, no wrong result, and what has passed keeps passing.

`python -m pytest tests/onnx_suite -s` prints the table. Here each test runs at one opset for each
set of operator versions; `PYTHONPATH=tests python -m onnx_suite --every` takes all of 13 to 25,
and with `--write` it renews `must_pass.txt`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import helper

from csideploy.errors import UnsupportedError
from csideploy.export.compile import compile_model
from onnx_suite.cases import all_cases
from onnx_suite.listed import LISTED, OPSETS
from onnx_suite.run import Kind
from onnx_suite.table import Results, run_all, table
from onnx_suite.variants import stamp

MUST_PASS = Path(__file__).with_name("must_pass.txt").read_text().split()


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Results:
    found = run_all(every=False)
    if request.config.getoption("capture") == "no":
        print("\n" + table(found))
    return found


def test_no_crash_and_no_wrong_result(results: Results) -> None:
    assert not results.faults()


def test_what_has_passed_passes(results: Results) -> None:
    lost = sorted(set(MUST_PASS) - results.passed())
    reasons = {
        f"{name} at opset {opset}: {outcome.message}"
        for (name, opset), outcome in results.outcomes.items()
        if name in lost and outcome.kind is not Kind.PASSED
    }
    assert not lost, "\n".join(sorted(reasons))


@pytest.mark.parametrize("operator", sorted(LISTED))
def test_every_operator_passes_somewhere(operator: str, results: Results) -> None:
    """Of what must pass, so that a renewed list cannot lose an operator."""
    own = {case.name for case in results.cases.values() if case.operator == operator}
    assert own & set(MUST_PASS)
    assert own & results.passed()


def test_refusals_name_the_place(results: Results) -> None:
    """Which node or tensor it is that the compiler lacks something for."""
    for (name, opset), outcome in results.outcomes.items():
        if outcome.kind is Kind.NAMED:
            # Of a model that onnx's checker refuses, its own first line is all there is.
            known = "'" in outcome.message or outcome.message.startswith("not a valid ONNX model")
            assert known or results.cases[name].range, (name, opset, outcome.message)


@pytest.mark.parametrize("opset", [OPSETS[0] - 1, OPSETS[-1] + 1])
def test_opsets_beyond_the_range_are_refused(opset: int) -> None:
    case = next(case for case in all_cases() if case.name.startswith("test_relu"))
    model = stamp(case.model, opset)
    assert helper.make_opsetid("", opset) in model.opset_import
    with pytest.raises(UnsupportedError, match=f"opset {opset}; 13 to 25"):
        compile_model(model, part="x", side="ue")
