"""A transceiver's package, made once; tests that change it copy it first."""

from pathlib import Path

import pytest

BITS = (3, 8, 11)


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Budgets of 3, 8 and 11 bits, up to 4 users."""
    pytest.importorskip("torch", reason="the weights of this package are a torch network's")
    from small_transceiver import small_weights

    from csideploy.transceiver.export import TransceiverWanted, make_transceiver

    folder = tmp_path_factory.mktemp("transceiver") / "P"
    make_transceiver(small_weights(), TransceiverWanted(bits=BITS, max_users=4), folder)
    return folder


@pytest.fixture(scope="session")
def regions_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two regions, 4 and 8 bits, up to 3 users."""
    pytest.importorskip("torch", reason="the weights of this package are a torch network's")
    from small_transceiver import small_weights

    from csideploy.transceiver.export import TransceiverWanted, make_transceiver
    from csideploy.transceiver.setup import Setup

    folder = tmp_path_factory.mktemp("regions") / "P"
    weights = small_weights(Setup(4, 2, 8, (4, 4), 2))
    make_transceiver(weights, TransceiverWanted(bits=(4, 8), max_users=3), folder)
    return folder
