"""What the verbs about data do for users of a transceiver."""

from __future__ import annotations

from pathlib import Path

from csideploy.cli_shell import print_json, progress, say, table_console
from csideploy.errors import InputError


def generate(
    scenario: str,
    *,
    antennas: int | None,
    samples: int,
    scenes: str,
    sites: int,
    regions: int,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Make users' channels, and say what they are."""
    from csideploy.transceiver.generated import UserPlan, generate_users
    from csideploy.transceiver.users import load_users

    if antennas is None:
        raise InputError(f"--scenario {scenario} makes users of a BS: add --antennas, 16 say")
    plan = UserPlan(
        scenario,
        antennas,
        samples,
        seed=seed,
        scenes=tuple(scenes.split(",")),
        sites=sites,
        regions=regions,
    )
    with progress(f"{scenario} users") as advance:
        generate_users(out, plan, progress=advance)
    users = load_users(out)
    environments = len(set(users.environment.tolist()))
    if as_json:
        result = {"out": str(out), **users.about["parameters"]}
        print_json({**result, "environments": environments, "outage": users.about["outage"]})
    else:
        say(
            f"{out}: {len(users)} users of {antennas} antennas, environments: {environments}; "
            f"{scenario}, seed {seed}; {users.about['outage']} places in outage left out"
        )


def info(file: Path, *, as_json: bool) -> None:
    """Describe a file of users."""
    from csideploy.transceiver.describe_users import describe_users, show

    result = describe_users(file)
    if as_json:
        print_json(result)
    else:
        show(result, table_console())
