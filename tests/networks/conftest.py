"""The table of errors, printed after the tests of this folder with `-s` or at a failure."""

import pytest

from networks.judge import Verdict

Errors = dict[tuple[str, str, str], Verdict]


@pytest.fixture(scope="session")
def errors(request: pytest.FixtureRequest):
    """(network, side, file) -> verdict, filled by the tests."""
    found: Errors = {}
    yield found
    if found and request.config.getoption("capture") == "no":
        print("\nnetwork            side  file        steps  max|a-b| / max(1, max|b|)")
        for (name, side, file), verdict in found.items():
            print(
                f"{name:18} {side:4}  {file:10}  {len(verdict.plan.steps):5}  "
                f"{verdict.error * 1e-4:.1e}"
            )
