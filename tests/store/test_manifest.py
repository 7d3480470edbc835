"""The manifest tells every change to a file of a run."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.store import manifest
from unlearn_core.store.files import read_json, remove_drafts, write_bytes, write_json, write_text
from unlearn_core.store.manifest import artifact, seal, verify, verify_once


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    write_bytes(tmp_path / "weights.bin", bytes(range(256)) * 10)
    write_text(tmp_path / "maps" / "grün.txt", "Wörter")
    write_json(tmp_path / "result.json", {"accuracy": 0.5})
    write_text(tmp_path / "log.txt", "grows")
    seal(tmp_path, {"run": "r"})
    return tmp_path


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

    monkeypatch.setattr(manifest, "_digest", unexpected)
    assert verify_once(sealed) == ()
    assert artifact(sealed, "weights.bin") == sealed / "weights.bin"
    os.utime(sealed / "weights.bin", (1, 1))
    with pytest.raises(AssertionError, match=r"weights\.bin was read again"):
        verify_once(sealed)
