"""All tests at all opsets, and the table of what came of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from onnx_suite.cases import Case, all_cases
from onnx_suite.listed import LISTED, OPSETS
from onnx_suite.run import Kind, Outcome, run
from onnx_suite.variants import variants

FAULTS = (Kind.WRONG, Kind.CRASH)


@dataclass
class Results:
    """Outcomes by (test, opset); `nowhere`: listed tests that fit no opset of the range."""

    outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    nowhere: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """One line each."""
        return [
            f"{name} at opset {opset}: {outcome.kind.value}: {outcome.message}"
            for (name, opset), outcome in self.outcomes.items()
            if outcome.kind in FAULTS
        ]

    def passed(self) -> set[str]:
        """Tests in range that passed wherever they were run."""
        names = {name for name, _ in self.outcomes if not self.cases[name].range}
        return names - {name for (name, _), o in self.outcomes.items() if o.kind is not Kind.PASSED}


def run_all(*, every: bool, only: str = "") -> Results:
    """Run all tests, or those whose name or operator contains `only`.

    Args:
        every: at every opset where the test is valid; else at one for each set of schemas.
        only: part of a test's name, or an operator.
    """
    results = Results()
    for case in all_cases():
        if only and only not in case.name and only != case.operator:
            continue
        results.cases[case.name] = case
        if case.range == "no tensors":
            continue
        # What is out of range must be refused or right as well, but once is enough; so it is for
        # the bodies of functions, whose operators all have tests of their own.
        once = case.range or ("_expanded" in case.name and case.opset in OPSETS and not every)
        models = {case.opset: case.model} if once else variants(case, every=every)
        if not models and not case.range:
            results.nowhere.append(case.name)
        for opset, model in models.items():
            results.outcomes[case.name, opset] = run(case, model)
    return results


def table(results: Results) -> str:
    """Runs per operator: passed, of them with frozen inputs, refused by name, out of range."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in sorted(LISTED)}
    other: Counter[str] = Counter()
    for (name, _), outcome in results.outcomes.items():
        case = results.cases[name]
        row = counts[case.operator] if case.operator in LISTED else other
        if case.range and outcome.kind is Kind.NAMED:
            row["out of range"] += 1
            continue
        row[outcome.kind.value] += 1
        row["frozen"] += outcome.frozen and outcome.kind is Kind.PASSED
    for case in results.cases.values():
        if case.range == "no tensors" or case.name in results.nowhere:
            row = counts[case.operator] if case.operator in LISTED else other
            row["out of range"] += 1
    columns = ("passed", "frozen", "named error", "out of range", "wrong result", "crash")
    lines = [f"{'operator':22}" + "".join(f"{column:>14}" for column in columns)]
    total: Counter[str] = Counter()
    rows = [*counts.items(), ("(other operators)", other)]
    for name, row in rows:
        total.update(row)
        lines.append(f"{name:22}" + "".join(f"{row[column]:>14}" for column in columns))
    lines.append(f"{'all':22}" + "".join(f"{total[column]:>14}" for column in columns))
    ours = [name for name, case in results.cases.items() if not case.range]
    lines.append(
        f"{len(results.cases)} tests; {len(ours)} of the operators and types named, of them "
        f"{len(results.passed())} passed at every opset where they were run"
    )
    return "\n".join(lines)


def refusals(results: Results) -> str:
    """The named errors of tests in range, one line a test, with the opsets."""
    grouped: dict[tuple[str, str], list[int]] = {}
    for (name, opset), outcome in results.outcomes.items():
        if outcome.kind is Kind.NAMED and not results.cases[name].range:
            grouped.setdefault((name, outcome.message), []).append(opset)
    return "\n".join(
        f"{name} at {', '.join(map(str, opsets))}: {message}"
        for (name, message), opsets in sorted(grouped.items())
    )
