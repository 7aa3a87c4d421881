"""Every file and array convention, and every way in which a file can be wrong."""

import h5py
import numpy as np
import pytest
import scipy.io

from csideploy.channels.files import csi_from_array, read_csi
from csideploy.channels.generate import generate
from csideploy.errors import InputError

# Matrices of unit maximum: the reading "centred" leaves the scale behind.
_PLANES = generate("indoor", 6, seed=9)
H = _PLANES.H[:, 0].astype(np.float32) + 1j * _PLANES.H[:, 1].astype(np.float32)
H = (H / np.abs(H).max(axis=(1, 2), keepdims=True)).astype(np.complex64)
RAW = np.stack([H.real, H.imag], axis=1) * 7.0
CENTRED = 0.5 + np.stack([H.real, H.imag], axis=1) / 2
CSINET = CENTRED.reshape(len(H), 2048)


def in_frequency(h):
    """(n, subcarrier, antenna) by plain sums over taps and angles."""
    k, tap, n, row = np.arange(257), np.arange(32), np.arange(32), np.arange(32)
    by_delay = np.exp(-2j * np.pi * np.outer(k, tap) / 257)
    by_angle = np.exp(2j * np.pi * np.outer(n, row - 16) / 32) / np.sqrt(32)
    return np.einsum("kl,na,sal->skn", by_delay, by_angle, h)


def write_matlab73(path, key, array):
    """As MATLAB does: axes backwards, complex values as a compound of real and imag."""
    turned = array.T
    if np.iscomplexobj(turned):
        pair = np.dtype([("real", "<f8"), ("imag", "<f8")])
        values = np.empty(turned.shape, dtype=pair)
        values["real"], values["imag"] = turned.real, turned.imag
        turned = values
    with h5py.File(path, "w", userblock_size=512) as file:
        file[key] = turned
        file[key].attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512, b" "))


def write_hdf5(path, key, array):
    with h5py.File(path, "w") as file:
        file[key] = array


WRITERS = {
    "npy": lambda path, key, array: np.save(path, array),
    "npz": lambda path, key, array: np.savez(path, **{"H": array, "seed": np.array(1)}),
    "h5": write_hdf5,
    "v5.mat": lambda path, key, array: scipy.io.savemat(path, {key: array, "A": np.eye(3)}),
    "v73.mat": write_matlab73,
}

ARRAYS = {
    "complex": (H * 3, "H", {}, H * 3),
    "raw": (RAW, "H", {}, H * 7),
    "raw float16": (RAW.astype(np.float16), "H", {}, H * 7),
    "centred": (CENTRED, "HT", {}, H),
    "centred float16": (CENTRED.astype(np.float16), "HT", {}, H),
    "CsiNet": (CSINET, "HT", {}, H),
    "CsiNet float64": (CSINET.astype(np.float64), "HT", {}, H),
    "frequency": (in_frequency(H), "H", {"domain": "frequency"}, H),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", ARRAYS)
def test_every_convention_from_every_file(tmp_path, kind, name):
    array, key, options, expected = ARRAYS[name]
    if "mat" in kind and array.dtype == np.float16:
        array = array.astype(np.float32)
    path = tmp_path / f"csi.{kind}"
    WRITERS[kind](path, key, array)
    csi = read_csi(path, **options)
    assert csi.h.dtype == np.complex64
    assert csi.h.shape == (6, 32, 32)
    # float16 keeps 11 bits, float32 24
    tolerance = (1e-3 if "float16" in name else 2e-6) * np.abs(expected).max()
    np.testing.assert_allclose(csi.h, expected, atol=tolerance)
    np.testing.assert_allclose(csi.absmax, np.abs(csi.h).max(axis=(1, 2)))
    assert csi.description.startswith("6 samples, ")
    assert "\n" not in csi.description


def test_hf_all_of_csinet(tmp_path):
    by_delay = np.exp(-2j * np.pi * np.outer(np.arange(32), np.arange(125)) / 125)
    path = tmp_path / "DATA_HtestFin_all.mat"
    scipy.io.savemat(path, {"HF_all": (H @ by_delay).reshape(6, 4000)})
    csi = read_csi(path, domain="frequency")
    np.testing.assert_allclose(csi.h, H, atol=2e-6)
    with pytest.raises(InputError, match="--domain frequency"):
        read_csi(path)


def test_convention_can_be_forced():
    np.testing.assert_allclose(csi_from_array(CENTRED, convention="centred").h, H, atol=1e-6)
    raw = csi_from_array(CENTRED, convention="raw")
    np.testing.assert_allclose(raw.h.real, CENTRED[:, 0], atol=1e-6)
    assert "raw" in raw.description
    assert "centred" in csi_from_array(CENTRED).description


def test_evenly_spread_energy_is_said():
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((9, 32, 32)) + 1j * rng.standard_normal((9, 32, 32))
    assert "--domain" in csi_from_array(noise).description
    assert "--domain" in csi_from_array(H, domain="frequency").description
    assert "--domain" not in csi_from_array(H).description


def spoiled(value):
    array = RAW.copy()
    array[4, 1, 3, 3] = value
    return array


ZERO = RAW.copy()
ZERO[2] = 0

BAD_ARRAYS = {
    "NaN": (spoiled(np.nan), {}, "NaN or infinity in 1 samples, the first is 4"),
    "infinity": (spoiled(-np.inf), {}, "the first is 4"),
    "zero sample": (ZERO, {}, "1 samples are zero, the first is 2"),
    "zero centred": (np.full((3, 2, 32, 32), 0.5), {}, "3 samples are zero"),
    "integers": (np.ones((3, 2, 32, 32), dtype=np.int16), {}, "int16"),
    "text": (np.array(["a", "b"]), {}, "<U1"),
    "number": (np.array(3.0), {}, "single number"),
    "empty": (np.zeros((0, 2, 32, 32)), {}, "empty"),
    "3 planes": (np.ones((3, 3, 32, 32)), {}, "(N, 2, angle, delay)"),
    "short rows": (np.ones((3, 2047)), {}, "(N, 2048)"),
    "real matrix": (np.ones((3, 32, 32)), {}, "(N, 2, angle, delay)"),
    "complex rows": (np.ones((3, 1024), dtype=complex), {}, "(N, angle, delay)"),
    "subcarriers": (np.ones((3, 257, 32), dtype=complex), {}, "--domain frequency"),
    "few subcarriers": (np.ones((3, 24, 32), dtype=complex), {"domain": "frequency"}, "24"),
    "real frequency": (RAW, {"domain": "frequency"}, "complex"),
    "frequency rows": (np.ones((3, 99), dtype=complex), {"domain": "frequency"}, "subcarrier"),
    "not centred": (RAW, {"convention": "centred"}, "not centred"),
    "centred complex": (H, {"convention": "centred"}, "cannot be centred"),
    "too large": (RAW.astype(np.float64) * 1e300, {}, "32-bit"),
    "convention": (RAW, {"convention": "centered"}, "centred"),
    "domain": (RAW, {"domain": "time"}, "angular, frequency"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays_are_refused_in_one_line(tmp_path, name):
    array, options, message = BAD_ARRAYS[name]
    path = tmp_path / "bad.npy"
    np.save(path, array)
    with pytest.raises(InputError) as caught:
        read_csi(path, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def write_cells(path):
    scipy.io.savemat(path, {"H": np.array([{"a": 1}, "b"], dtype=object)})


def write_sparse(path):
    scipy.io.savemat(path, {"H": scipy.sparse.eye_array(4).tocsc()})


def write_group(path):
    with h5py.File(path, "w") as file:
        file.create_group("H")["x"] = 1.0
        file["other"] = np.ones(3)


def cut(suffix):
    def write(path):
        WRITERS[suffix](path, "H", RAW.astype(np.float32))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return write


BAD_FILES = {
    "gone.npy": (lambda path: None, "no such file"),
    "folder.npz": (lambda path: path.mkdir(), "is a folder"),
    "csi.csv": (lambda path: path.write_text("1,2"), "unknown suffix"),
    "csi": (lambda path: path.write_text("1,2"), "unknown suffix"),
    "empty.npy": (lambda path: path.write_bytes(b""), "cannot be read"),
    "text.npz": (lambda path: path.write_text("hello"), "cannot be read"),
    "text.mat": (lambda path: path.write_text("hello " * 99), "cannot be read"),
    "text.h5": (lambda path: path.write_text("hello"), "cannot be read"),
    "key.npz": (lambda path: np.savez(path, G=RAW, x=RAW), "it has: G, x"),
    "key.mat": (lambda path: scipy.io.savemat(path, {"K": RAW}), "it has: K"),
    "group.h5": (write_group, "it has: other"),
    "pickle.npy": (lambda path: np.save(path, np.array([{}], dtype=object)), "cannot be read"),
    "cells.mat": (write_cells, "object"),
    "sparse.mat": (write_sparse, "sparse"),
    "cut.npy": (cut("npy"), "cannot be read"),
    "cut.npz": (cut("npz"), "cannot be read"),
    "cut.h5": (cut("h5"), "cannot be read"),
    "cut.mat": (cut("v5.mat"), "cannot be read"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused_in_one_line(tmp_path, name):
    write, message = BAD_FILES[name]
    path = tmp_path / name
    write(path)
    with pytest.raises(InputError) as caught:
        read_csi(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
