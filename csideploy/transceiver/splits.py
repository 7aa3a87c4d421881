"""Which users of a file train, validate and test: the same for everyone who reads it."""

from __future__ import annotations

from pathlib import Path

from csideploy.transceiver.user_set import Users
from csideploy.transceiver.users import load_users

SHARES = (0.8, 0.1, 0.1)
SPLIT_SEED = 1


def split_users(path: Path) -> tuple[Users, Users, Users]:
    """A file's users at unit mean power an entry: for training, validation and test.

    By distinct rows, so that a user that stands in a file twice is on one side alone.

    Raises:
        InputError: the file cannot be read, or is too small.
    """
    training, validation, test = load_users(path).normalized().split(SHARES, SPLIT_SEED)
    return training, validation, test
