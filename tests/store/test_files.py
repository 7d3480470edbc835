"""Files are whole or absent."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.store import files
from unlearn_core.store.files import (
    plain_json,
    read_json,
    replacing,
    write_bytes,
    write_json,
    write_npz,
)


@contextmanager
def small_files_only() -> Iterator[None]:
    """The kernel refuses to write past 1,000 bytes, as a full disk would; also to the test's own report, so be short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("compress", [True, False])
def test_arrays_come_back_and_a_write_that_fails_leaves_the_old_ones(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "stats.npz"
    write_npz(path, {"sums/a.b": np.eye(3), "head": np.array("text")}, compress=compress)
    with pytest.raises(UnlearnError), small_files_only():
        write_npz(path, {"noise": np.random.default_rng(0).random(10_000)}, compress=compress)
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays.files) == {"sums/a.b", "head"} and str(arrays["head"]) == "text"
        assert np.array_equal(arrays["sums/a.b"], np.eye(3))
    assert [p.name for p in tmp_path.iterdir()] == ["stats.npz"]


def test_a_write_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "x", b"old")
    write_bytes(tmp_path / "a" / "x", b"new")
    assert (tmp_path / "a" / "x").read_bytes() == b"new"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x"]


def test_a_refused_write_keeps_the_old_file_and_names_the_path(
    tmp_path: Path,
) -> None:
    write_bytes(tmp_path / "x", b"old")
    with pytest.raises(UnlearnError, match=r"no room to write .*/x"), small_files_only():
        write_bytes(tmp_path / "x", b"n" * 2000)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x": b"old"}


def test_a_block_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "x", b"old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "x") as draft:
        draft.write_bytes(b"half")
        raise ZeroDivisionError
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x": b"old"}


def test_a_folder_that_may_not_be_written_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(UnlearnError, match=rf"may not write {tmp_path}/x .*LETHE_HOME"):
        write_bytes(tmp_path / "x", b"new")


def test_json_holds_what_json_has(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Point:
        x: float

    value = {
        "nan": float("nan"),
        "array": np.array([1.5, np.inf]),
        "scalar": np.float32(0.5),
        "point": Point(2.0),
        "path": Path("/x"),
        "pair": (1, True),
        3: "\ud800",
    }
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == {
        "nan": None,
        "array": [1.5, None],
        "scalar": 0.5,
        "point": {"x": 2.0},
        "path": "/x",
        "pair": [1, True],
        "3": "\ud800",
    }
    with pytest.raises(TypeError, match="object"):
        plain_json(object())


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_damaged_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UnlearnError, match=r"x\.json is damaged"):
        read_json(tmp_path / "x.json")
