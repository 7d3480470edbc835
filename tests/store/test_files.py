"""Files are whole or absent, and the manifest tells every change."""

import errno
import hashlib
import json
import os
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
    artifact,
    plain_json,
    read_json,
    remove_drafts,
    replacing,
    seal,
    verify,
    verify_once,
    write_bytes,
    write_json,
    write_npz,
    write_text,
)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    write_bytes(tmp_path / "weights.bin", bytes(range(256)) * 10)
    write_text(tmp_path / "maps" / "grün.txt", "Wörter")
    write_json(tmp_path / "result.json", {"accuracy": 0.5})
    write_text(tmp_path / "log.txt", "grows")
    seal(tmp_path, {"run": "r"})
    return tmp_path


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


def test_manifest_lists_final_files_with_size_and_hash(sealed: Path) -> None:
    listed = json.loads((sealed / "manifest.json").read_text())["artifacts"]
    assert [a["path"] for a in listed] == ["maps/grün.txt", "result.json", "weights.bin"]
    weights = bytes(range(256)) * 10
    assert listed[2] == {
        "path": "weights.bin",
        "size": 2560,
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    assert verify(sealed) == ()


def test_a_flipped_bit_in_any_file_is_found_and_named(sealed: Path) -> None:
    for name in ("maps/grün.txt", "result.json", "weights.bin"):
        path = sealed / name
        before = path.read_bytes()
        path.write_bytes(bytes([before[0] ^ 1]) + before[1:])
        for problems in (verify(sealed), verify_once(sealed)):
            assert problems == (f"{name} is not the file that the run wrote.",)
        with pytest.raises(UnlearnError, match="not the file"):
            artifact(sealed, name)
        path.write_bytes(before)
        assert verify_once(sealed) == ()


def test_a_file_that_goes_on_growing_is_not_sealed(sealed: Path) -> None:
    write_text(sealed / "log.txt", "grows and grows")
    assert verify(sealed) == ()
    with pytest.raises(UnlearnError, match="no file 'log.txt'"):
        artifact(sealed, "log.txt")


def test_a_missing_file_a_link_and_a_missing_manifest_are_problems(sealed: Path, tmp_path: Path) -> None:
    (sealed / "weights.bin").rename(sealed / "elsewhere")
    assert verify(sealed) == ("weights.bin is missing.",)
    (sealed / "weights.bin").symlink_to(sealed / "elsewhere")
    assert verify(sealed) == ("weights.bin is missing.",)
    (sealed / "manifest.json").unlink()
    assert verify(sealed) == (f"{sealed / 'manifest.json'} is missing.",)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "maps/../../secret", "", ".", "nothing"])
def test_only_listed_names_are_given(sealed: Path, name: str) -> None:
    with pytest.raises(UnlearnError, match="has no file"):
        artifact(sealed, name)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "", 7])
def test_a_manifest_that_leads_out_of_the_folder_is_damaged(sealed: Path, path: object) -> None:
    write_json(sealed / "manifest.json", {"schema": 1, "artifacts": [{"path": path}]})
    with pytest.raises(UnlearnError, match="damaged"):
        artifact(sealed, str(path))
    assert "damaged" in verify(sealed)[0]


def test_a_manifest_of_a_newer_version_is_named(sealed: Path) -> None:
    write_json(sealed / "manifest.json", {"schema": 2, "artifacts": []})
    assert "schema 2" in verify(sealed)[0]


def test_drafts_of_a_killed_worker_go_and_are_never_sealed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.bin.tmp-0123abcd", "sub/b.tmp-00000000", "a.tmp-xyz", "record.json.tmp-0123abcd"):
        (tmp_path / name).write_bytes(b"half")
    seal(tmp_path, {})
    assert [a["path"] for a in read_json(tmp_path / "manifest.json")["artifacts"]] == ["a.tmp-xyz"]
    remove_drafts(tmp_path)
    left = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["a.tmp-xyz", "manifest.json", "record.json.tmp-0123abcd"]


def test_a_checked_file_is_read_once(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verify_once(sealed) == ()

    def unexpected(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(files, "_digest", unexpected)
    assert verify_once(sealed) == ()
    assert artifact(sealed, "weights.bin") == sealed / "weights.bin"
    os.utime(sealed / "weights.bin", (1, 1))
    with pytest.raises(AssertionError, match=r"weights\.bin was read again"):
        verify_once(sealed)
