"""Payload files of a transceiver: exact bits, budgets and regions of each user, damaged files."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the weights of these tests are a torch network's")

from small_transceiver import gaussian, small_users, small_weights

from csideploy.errors import CsideployError, FormatError, InputError, PairingError
from csideploy.package import open_package
from csideploy.quantizers.residual import encode as search
from csideploy.quantizers.residual import indices_to_bits
from csideploy.transceiver.export import TransceiverWanted, make_transceiver
from csideploy.transceiver.parts import Deployed
from csideploy.transceiver.rate import sum_rate
from csideploy.transceiver.request import find_trained
from csideploy.transceiver.users import save_users
from csideploy.transceiver.wire import decode, encode

HEADER, ENTRY = 32, 6


@pytest.fixture
def pilots(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """Received pilots of 6 groups of 3 users at 12 dB, and their channels."""
    running = Deployed(small_weights(), (8,), 4)
    h = gaussian(1, 6, 3, 4)
    y = running.hear(h, gaussian(2, 6, 3, 2), 10**1.2)
    np.save(tmp_path / "y.npy", y)
    np.save(tmp_path / "h.npy", h.astype(np.complex64))
    return tmp_path / "y.npy", y, h


def test_a_file_is_what_its_users_send(
    package_folder: Path, tmp_path: Path, pilots: tuple[Path, np.ndarray, np.ndarray]
) -> None:
    path, y, _ = pilots
    package = open_package(package_folder)
    made = encode(package, path, tmp_path / "p.bin", bits=(11, 3, 8))
    data = (tmp_path / "p.bin").read_bytes()
    record = HEADER + 4 + 3 * ENTRY + 4
    assert len(data) == made["file_bytes"] == record + 6 * (2 + 1 + 1)
    assert (made["samples"], made["users"], made["bits"]) == (6, 3, [11, 3, 8])
    layout, count, size = struct.unpack_from("<HxxxxxxxxQI", data, 6)
    assert (layout, count, size) == (0x0800, 6, 4)
    assert struct.unpack_from("<HH", data, HEADER) == (3, 0)
    entries = [struct.unpack_from("<HI", data, HEADER + 4 + ENTRY * k) for k in range(3)]
    crc = {b["bits"]: int(b["codebooks"], 16) for b in package.manifest["budgets"]}
    assert entries == [(0x0400 + bits, crc[bits]) for bits in (11, 3, 8)]
    # Each user's bits by the float64 search in the codebooks that the weights give.
    weights = small_weights()
    running = Deployed(weights, (3, 8, 11), 4)
    feature = running.features(y)
    groups = np.frombuffer(data, np.uint8, offset=record).reshape(6, 4)
    for k, (bits, span) in enumerate(zip((11, 3, 8), ((0, 2), (2, 3), (3, 4)), strict=True)):
        books = running.made.codebooks[bits, 0]
        tiers = [len(book).bit_length() - 1 for book in books]
        packed = np.packbits(indices_to_bits(search(feature[:, k], books), tiers), axis=1)
        assert (groups[:, slice(*span)] == packed).all()


def test_precoders_and_sum_rate(
    package_folder: Path, tmp_path: Path, pilots: tuple[Path, np.ndarray, np.ndarray]
) -> None:
    path, y, h = pilots
    package = open_package(package_folder)
    encode(package, path, tmp_path / "p.bin", bits=(11, 3, 8))
    found = decode(
        package, tmp_path / "p.bin", tmp_path / "W.npy", snr_db=12.0, reference=tmp_path / "h.npy"
    )
    w = np.load(tmp_path / "W.npy")
    assert w.shape == (6, 3, 4)
    assert w.dtype == np.complex64
    assert np.allclose((np.abs(w) ** 2).sum((1, 2)), 1, atol=1e-6)
    running = Deployed(small_weights(), (3, 8, 11), 4)
    feature = running.features(y)
    each = [running.described.budget(bits) for bits in (11, 3, 8)]
    assert (w == running.precode(running.carried(feature, each)[1], 12.0)).all()
    # A .npy of channels is taken as it is.
    rates = sum_rate(h.astype(np.complex64), w, 10**1.2)
    assert found["sum_rate"] == pytest.approx(rates.mean(), rel=1e-12)
    low, high = found["sum_rate_interval"]
    assert low < found["sum_rate"] < high


@pytest.mark.parametrize("users", [1, 2, 3, 4])
def test_any_number_of_users_from_one_package(
    package_folder: Path, tmp_path: Path, users: int
) -> None:
    save_users(tmp_path / "users.npz", small_users())
    package = open_package(package_folder)
    made = encode(
        package, tmp_path / "users.npz", tmp_path / "p.bin", snr_db=10, bits=(8,), group=users,
        samples=300, seed=4,
    )  # fmt: skip
    assert (made["samples"], made["users"]) == (300, users)
    found = decode(
        package, tmp_path / "p.bin", tmp_path / "W.npy", snr_db=10.0, seed=4,
        reference=tmp_path / "users.npz",
    )  # fmt: skip
    # The same groups drawn again, scaled as for training, and the link computed at once.
    scaled = small_users().normalized()
    h = scaled.h[small_users().draw_rows(np.random.default_rng([4, 0]), 300, users)]
    noise = np.random.default_rng([4, 1]).standard_normal((300, users, 2, 2)) * 0.5**0.5
    running = Deployed(small_weights(), (8,), 4)
    w = running.link(h, noise.view(np.complex128)[..., 0], 10.0, 8)
    assert np.allclose(np.load(tmp_path / "W.npy"), w, atol=1e-5)
    assert found["sum_rate"] == pytest.approx(sum_rate(h, w, 10.0).mean(), rel=1e-5)


def test_raw_files_have_neither_header_nor_record(
    package_folder: Path, tmp_path: Path, pilots: tuple[Path, np.ndarray, np.ndarray]
) -> None:
    path, _, _ = pilots
    package = open_package(package_folder)
    encode(package, path, tmp_path / "p.bin", bits=(3,))
    made = encode(package, path, tmp_path / "raw.bin", bits=(3,), raw=True)
    assert made["file_bytes"] == 6 * 3
    assert (tmp_path / "p.bin").read_bytes().endswith((tmp_path / "raw.bin").read_bytes())
    for name, options in (("p.bin", {}), ("raw.bin", {"raw": True, "bits": (3,), "group": 3})):
        decode(package, tmp_path / name, tmp_path / f"{name}.npy", snr_db=5.0, **options)
    assert (np.load(tmp_path / "p.bin.npy") == np.load(tmp_path / "raw.bin.npy")).all()


def test_regions_stand_in_front_of_each_group(regions_folder: Path, tmp_path: Path) -> None:
    from csideploy.transceiver.setup import Setup

    weights = small_weights(Setup(4, 2, 8, (4, 4), 2))
    running = Deployed(weights, (4, 8), 3)
    h = gaussian(3, 8, 2, 4)
    y = running.hear(h, gaussian(4, 8, 2, 2), 10.0)
    region = np.random.default_rng(5).integers(0, 2, (8, 2))
    np.savez(tmp_path / "y.npz", y=y, region=region)
    package = open_package(regions_folder)
    encode(package, tmp_path / "y.npz", tmp_path / "p.bin", bits=(8, 4))
    groups = np.frombuffer((tmp_path / "p.bin").read_bytes()[-8 * 4 :], np.uint8).reshape(8, 4)
    assert (groups[:, :2] == region).all()
    assert 0 < region.sum() < 16
    decode(package, tmp_path / "p.bin", tmp_path / "W.npy", snr_db=10.0)
    each = [running.described.budget(bits) for bits in (8, 4)]
    read = running.carried(running.features(y), each, region)[1]
    assert (np.load(tmp_path / "W.npy") == running.precode(read, 10.0)).all()
    np.save(tmp_path / "y.npy", y)
    with pytest.raises(InputError, match=r"give an \.npz of y and region"):
        encode(package, tmp_path / "y.npy", tmp_path / "p.bin")


def _patched(data: bytes, at: int, new: bytes, *, record: bool = True) -> bytes:
    """Bytes changed; the checksums of header and record made right again."""
    changed = bytearray(data)
    changed[at : at + len(new)] = new
    changed[28:32] = struct.pack("<I", zlib.crc32(bytes(changed[:28])))
    if record:
        users = struct.unpack_from("<H", changed, HEADER)[0]
        end = HEADER + 4 + ENTRY * users
        changed[end : end + 4] = struct.pack("<I", zlib.crc32(bytes(changed[HEADER:end])))
    return bytes(changed)


BAD: dict[str, tuple[Callable[[bytes], bytes], type[CsideployError], str]] = {
    "empty": (lambda d: b"", FormatError, "no payload file"),
    "cut in the header": (lambda d: d[:20], FormatError, "truncated"),
    "cut in the record": (lambda d: d[:40], FormatError, "damaged record"),
    "cut behind the header": (lambda d: d[:32], FormatError, "damaged record"),
    "a bit of the record": (
        lambda d: d[:37] + bytes([d[37] ^ 1]) + d[38:], FormatError, "damaged record"),
    "cut in a group": (lambda d: d[:-1], FormatError, "its header promises 6 of 4 bytes"),
    "bytes behind": (lambda d: d + b"\0", FormatError, "its header promises 6 of 4 bytes"),
    "no groups": (
        lambda d: _patched(d[:-24], 16, struct.pack("<Q", 0)), FormatError, "0 bytes of groups"),
    "another link": (lambda d: _patched(d, 8, b"\1\2"), PairingError, "encoded by another link"),
    "another kind": (
        lambda d: _patched(d, 6, struct.pack("<H", 0x0300)), PairingError, "decodes 0x0800"),
    "bytes a group": (
        lambda d: _patched(d, 24, struct.pack("<I", 5)), FormatError, "its record makes 4"),
    "no users": (lambda d: _patched(d, 32, b"\0\0"), FormatError, "damaged record|0 users"),
    "regions": (lambda d: _patched(d, 34, b"\1\0"), FormatError, "regions 1"),
    "regions of no kind": (lambda d: _patched(d, 34, b"\2\0"), FormatError, "groups of 3 users"),
    "another budget": (
        lambda d: _patched(d, 36, struct.pack("<H", 0x0405)), PairingError, "export with --bits 5"),
    "other codebooks": (
        lambda d: _patched(d, 38, b"\1\2\3\4"), PairingError, "codebooks of 11 bits are others"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_damaged_files_are_refused(
    package_folder: Path, tmp_path: Path, pilots: tuple[Path, np.ndarray, np.ndarray], kind: str
) -> None:
    package = open_package(package_folder)
    encode(package, pilots[0], tmp_path / "p.bin", bits=(11, 3, 8))
    change, error, line = BAD[kind]
    data = change((tmp_path / "p.bin").read_bytes())
    (tmp_path / "bad.bin").write_bytes(data)
    with pytest.raises(error, match=line) as caught:
        decode(package, tmp_path / "bad.bin", tmp_path / "W.npy", snr_db=10.0)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "W.npy").exists()


def test_a_user_of_no_region_is_refused(regions_folder: Path, tmp_path: Path) -> None:
    save_users(tmp_path / "users.npz", small_users())
    package = open_package(regions_folder)
    encode(package, tmp_path / "users.npz", tmp_path / "p.bin", snr_db=10, group=2, samples=5)
    data = bytearray((tmp_path / "p.bin").read_bytes())
    data[-4 * 3 + 1] = 2
    (tmp_path / "p.bin").write_bytes(bytes(data))
    with pytest.raises(FormatError, match="user 1 of group 2 is in region 2; there are 0 to 1"):
        decode(package, tmp_path / "p.bin", tmp_path / "W.npy", snr_db=10.0)


def test_more_users_than_the_package_takes(package_folder: Path, tmp_path: Path) -> None:
    make_transceiver(small_weights(), TransceiverWanted(bits=(8,), max_users=6), tmp_path / "Q")
    save_users(tmp_path / "users.npz", small_users())
    encode(open_package(tmp_path / "Q"), tmp_path / "users.npz", tmp_path / "p.bin",
           snr_db=10, samples=3)  # fmt: skip
    with pytest.raises(InputError, match="groups of 6 users; this package takes 1 to 4"):
        decode(open_package(package_folder), tmp_path / "p.bin", tmp_path / "W.npy", snr_db=10.0)


INPUTS: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "snr beside pilots": ({}, {"snr_db": 10.0}, "holds received pilots"),
    "other users": ({}, {"group": 2}, "--users 2: .* has groups of 3"),
    "too many budgets": ({}, {"bits": (3, 8)}, "--bits 3,8: one number, or one of each of the 3"),
    "no such budget": ({}, {"bits": (5,)}, "--bits 5: the package has 3, 8, 11 bits a user"),
    "other pilots": ({"y": np.ones((2, 3, 4, 2), np.float32)}, {}, r"real \(n, K, 2, 2\)"),
    "too many": ({"y": np.ones((2, 5, 2, 2), np.float32)}, {}, "groups of 5 users"),
    "not finite": ({"y": np.full((2, 3, 2, 2), np.nan, np.float32)}, {}, "not finite"),
    "integers": ({"y": np.ones((2, 3, 2, 2), np.int32)}, {}, "received pilots are real"),
    "none": ({"y": np.ones((0, 3, 2, 2), np.float32)}, {}, "received pilots are real"),
    "users without snr": ({"h": gaussian(1, 20, 4)}, {}, "add --snr dB"),
    "no snr": ({"h": gaussian(1, 20, 4)}, {"snr_db": np.nan}, "--snr nan: dB from -30 to 60"),
    "antennas": ({"h": gaussian(1, 20, 3)}, {"snr_db": 10.0}, "3 antennas; 4 are needed"),
    "few users": ({"h": gaussian(1, 2, 4)}, {"snr_db": 10.0}, "groups of 4 users"),
    "users of a group": ({"h": gaussian(1, 20, 4)}, {"snr_db": 10.0, "group": 9}, "1 to 4"),
    "groups of the file": (
        {"h": gaussian(1, 3, 2, 4)}, {"snr_db": 10.0, "samples": 9}, "3 groups of 2 users"),
}  # fmt: skip


@pytest.mark.parametrize("kind", INPUTS)
def test_bad_inputs(
    package_folder: Path, tmp_path: Path, pilots: tuple[Path, np.ndarray, np.ndarray], kind: str
) -> None:
    arrays, options, line = INPUTS[kind]
    path = pilots[0]
    for name, array in arrays.items():
        path = tmp_path / f"bad-{name}.npz" if name == "y" else tmp_path / "bad.npy"
        np.savez(path, y=array) if name == "y" else np.save(path, array)
    with pytest.raises(InputError, match=line) as caught:
        encode(open_package(package_folder), path, tmp_path / "p.bin", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "p.bin").exists()


def test_bad_use_of_decode(package_folder: Path, tmp_path: Path) -> None:
    package = open_package(package_folder)
    np.save(tmp_path / "y.npy", np.ones((4, 2, 2, 2), np.float32))
    np.save(tmp_path / "h.npy", gaussian(1, 3, 2, 4))
    encode(package, tmp_path / "y.npy", tmp_path / "p.bin")
    for options, line in (
        ({"bits": (8,)}, "they go with --raw"),
        ({"group": 2}, "they go with --raw"),
        ({"raw": True}, "needs --users K"),
        ({"raw": True, "group": 5}, "groups of 5 users"),
        ({"raw": True, "group": 3}, "a group has 6 bytes"),
        ({"snr_db": 90.0}, "--snr 90: dB"),
        ({"reference": tmp_path / "h.npy"}, "3 groups of 2 users; asked for 4"),
        ({"reference": tmp_path / "none.npy"}, "none.npy"),
    ):
        with pytest.raises((InputError, FormatError), match=line):
            decode(package, tmp_path / "p.bin", tmp_path / "W.npy", **{"snr_db": 10.0, **options})
    with pytest.raises(InputError, match="cannot read"):
        decode(package, tmp_path / "none.bin", tmp_path / "W.npy", snr_db=10.0)


def test_a_package_is_measured_as_it_is(package_folder: Path) -> None:
    (found,) = find_trained(str(package_folder), most_users=8, bits=(8,))
    assert (found.pilots, found.antennas, found.most_users) == (2, 4, 4)
    h, noise = gaussian(1, 4, 3, 4), gaussian(2, 4, 3, 2)
    same = Deployed(small_weights(), (3, 8, 11), 4).link(h, noise, 10.0, 11)
    assert (found.candidate(h, noise, 10.0, 11) == same).all()
    with pytest.raises(InputError, match="--bits 5: the package has 3, 8, 11"):
        found.candidate(h, noise, 10.0, 5)
