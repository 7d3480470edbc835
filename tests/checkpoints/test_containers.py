import io
import os
import struct
import tarfile
from pathlib import Path

import pytest
import torch

from tests.checkpoints import hostile
from tests.checkpoints.hostile import assert_equal, refusal, written
from unlearn_core.checkpoints.reading import read_tensors
from unlearn_core.errors import UnlearnError

GOOD = hostile.good_tensors()


@pytest.mark.parametrize("name", hostile.running(Path("marker")))
def test_files_that_would_run_code_do_not(tmp_path, name):
    marker = tmp_path / "marker"
    path = written(tmp_path, hostile.running(marker)[name])
    refusal(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", hostile.misleading())
def test_files_that_lie_are_refused_before_torch_reads_them(tmp_path, name, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("torch.load was reached"))
    refusal(written(tmp_path, hostile.misleading()[name]))


def test_a_whole_module_gets_the_line_of_code_that_helps(tmp_path):
    message = refusal(written(tmp_path, hostile.saved(hostile.Net())))
    assert "hostile.Net" in message and "torch.save(model.state_dict(), FILE)" in message


def test_torchscript_and_exported_programs(tmp_path):
    script = io.BytesIO()
    with pytest.warns():  # torch gives TorchScript up
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), script)
    assert "TorchScript" in refusal(written(tmp_path, script.getvalue()))
    parts = [("archive_format", b"pt2"), ("models/model.json", b"{}")]
    assert "not one that torch.save writes" in refusal(written(tmp_path, hostile.zipped(parts), "m.pt2"))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
        (b"\n\n<html>", "web page"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(64), "JPEG"),
        (b"\x1f\x8b\x08" + bytes(64), "gzip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
        (b"\x80\x04K\x01.", "plain Python pickle"),
        (bytes(range(256)) * 4, "neither"),
        (b"PK\x03\x04" + bytes(64), "cut off"),
        (hostile.MAGIC, "damaged"),
    ],
)
def test_what_is_no_file_of_weights_is_called_by_its_name(tmp_path, data, word):
    assert word in refusal(written(tmp_path, data))


def test_tar_files_are_refused_even_when_they_start_like_torch(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("torch.load was reached"))
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
    plain = stream.getvalue()
    assert "tar file" in refusal(written(tmp_path, plain))
    disguised = bytearray(plain)
    disguised[: len(hostile.MAGIC)] = hostile.MAGIC
    disguised[148:156] = b" " * 8
    disguised[148:156] = b"%06o\0 " % sum(disguised[:512])
    assert tarfile.TarInfo.frombuf(bytes(disguised[:512]), "latin1", "strict").isreg()
    assert "tar file" in refusal(written(tmp_path, bytes(disguised)))


def test_missing_files_and_folders(tmp_path):
    assert "no such file" in refusal(tmp_path / "absent.pt")
    assert "folder" in refusal(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "no such file" in refusal(tmp_path / "pipe")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "huge.pt"
    with path.open("wb") as file:
        file.truncate(3 * 2**30)  # a hole: takes no space
    assert "at most" in refusal(path)


@pytest.mark.parametrize("old", [False, True])
def test_files_cut_anywhere_are_refused(tmp_path, old):
    data = hostile.saved(GOOD, _use_new_zipfile_serialization=not old)
    for end in {*range(0, len(data), max(1, len(data) // 100)), len(data) - 1}:
        refusal(written(tmp_path, data[:end]))


def test_no_flipped_bit_of_a_zip_changes_a_number(tmp_path):
    data = bytearray(hostile.saved(GOOD))
    draw = torch.Generator().manual_seed(0)
    accepted = 0
    for bit in torch.randint(0, 8 * len(data), (400,), generator=draw).tolist():
        data[bit // 8] ^= 1 << bit % 8
        try:
            assert_equal(read_tensors(written(tmp_path, bytes(data))).tensors, GOOD)
            accepted += 1  # a date or padding: nothing that is read
        except UnlearnError:
            pass
        data[bit // 8] ^= 1 << bit % 8
    assert accepted < 300


def test_every_flipped_bit_of_the_numbers_is_noticed(tmp_path):
    data = bytearray(hostile.saved(GOOD))
    at = bytes(data).index(GOOD["conv.weight"].numpy().tobytes())
    for bit in range(0, 8 * 4 * GOOD["conv.weight"].numel(), 97):
        data[at + bit // 8] ^= 1 << bit % 8
        assert "checksum" in refusal(written(tmp_path, bytes(data)))
        data[at + bit // 8] ^= 1 << bit % 8


def test_a_wrong_checksum_in_the_directory(tmp_path):
    data = bytearray(hostile.saved(GOOD))
    entry = bytes(data).index(b"PK\x01\x02")
    data[entry + 16] ^= 0xFF
    assert "checksum" in refusal(written(tmp_path, bytes(data)))


def test_an_encrypted_part(tmp_path):
    data = bytearray(hostile.saved(GOOD))
    data[bytes(data).index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refusal(written(tmp_path, bytes(data)))


def test_parts_that_lie_on_each_other(tmp_path):
    data = bytearray(
        hostile.zipped([("data.pkl", b"\x80\x02}."), ("data/0", bytes(64)), ("data/1", bytes(64))])
    )
    third = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02"][2]
    data[third + 42 : third + 46] = struct.pack("<I", 60)
    assert "overlap" in refusal(written(tmp_path, bytes(data)))
