import datetime
import io
import pickle
from pathlib import Path

import pytest
import torch

from tests.checkpoints import hostile
from unlearn_core.checkpoints import opcodes
from unlearn_core.checkpoints.opcodes import examine
from unlearn_core.checkpoints.values import Described, Skipped
from unlearn_core.errors import UnlearnError


def data_pickle(obj):
    return dict(hostile.parts_of(hostile.saved(obj)))["data.pkl"]


def test_sizes_and_storages_are_those_of_the_tensors():
    tensors = {"a": torch.zeros(2, 3), "b": torch.zeros(5, dtype=torch.int64)[1:3], "c": torch.tensor(1.0)}
    contents = examine(io.BytesIO(data_pickle({"tensors": tensors, "epoch": 3, "names": ["x", ("y", None)]})))
    assert contents.value == {
        "tensors": {name: Described(tuple(t.shape)) for name, t in tensors.items()},
        "epoch": 3,
        "names": ["x", ("y", None)],
    }
    assert {s.nbytes for s in contents.storages.values()} == {24, 40, 4}


def test_storages_have_torchs_element_sizes():
    for dtype in (
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.bool,
    ):
        (storage,) = examine(io.BytesIO(data_pickle({"a": torch.zeros(3, dtype=dtype)}))).storages.values()
        assert storage.nbytes == 3 * dtype.itemsize


def test_the_stream_stands_behind_the_pickle():
    stream = io.BytesIO(pickle.dumps([1, 2.5], 2) + b"rest")
    assert examine(stream).value == [1, 2.5]
    assert stream.read() == b"rest"


@pytest.mark.parametrize(
    "value",
    [7, -(2**70), 0.1, "\N{SNOWMAN}", None, True, (), (1,), (1, 2, 3, 4), [], {"a": [{}]}, {1: {2: 3}}],
)
def test_plain_values_are_those_of_pickle(value):
    assert examine(io.BytesIO(pickle.dumps(value, 2))).value == value


def test_aliases_and_cycles_come_to_an_end():
    loop = []
    loop.append(loop)
    found = examine(io.BytesIO(pickle.dumps(loop, 2))).value
    assert found[0] is found


@pytest.mark.parametrize(
    "function", [print, getattr, pickle.loads, torch.load, torch.hub.load, io.open, type]
)
def test_no_function_is_on_the_list(function):
    with pytest.raises(UnlearnError, match="runs no code"):
        examine(io.BytesIO(pickle.dumps(hostile.Call(function, "x"), 2)))


def test_values_that_carry_no_code_are_skipped_and_never_made():
    for value in ({1, 2}, b"bytes", bytearray(3), 1j, range(3), Path("a/b"), datetime.date(2020, 1, 1)):
        for protocol in (2, 4):
            found = examine(io.BytesIO(pickle.dumps({"a": value}, protocol))).value["a"]
            assert isinstance(found, Skipped | list | bytes)


def test_the_number_of_steps_is_limited(monkeypatch):
    monkeypatch.setattr(opcodes, "MAX_OPCODES", 1_000)
    with pytest.raises(UnlearnError, match="more than 1,000 steps"):
        examine(io.BytesIO(b"\x80\x02)" + b"\x85" * 1_005 + b"."))


def test_what_passes_is_what_torch_builds():
    """Random damage: whatever is accepted, torch loads with the sizes that were foretold."""
    good = data_pickle({"w": torch.zeros(4, 4), "b": torch.zeros(4), "n": torch.tensor(3)})
    draw = torch.Generator().manual_seed(1)
    accepted = 0
    for at, byte in torch.randint(0, 256, (800, 2), generator=draw).tolist():
        damaged = bytearray(good)
        damaged[at % len(good)] = byte
        try:
            contents = examine(io.BytesIO(bytes(damaged)))
        except UnlearnError:
            continue
        parts = [(f"data/{s.key}", bytes(min(s.nbytes, 10**6))) for s in contents.storages.values()]
        if any(s.nbytes > 10**6 or not s.key.isalnum() for s in contents.storages.values()):
            continue
        file = hostile.zipped([("data.pkl", bytes(damaged)), ("version", b"3\n"), *parts])
        built = torch.load(io.BytesIO(file), map_location="cpu", weights_only=True)
        for key, value in contents.value.items():
            if isinstance(value, Described):
                assert tuple(built[key].shape) == value.size
        accepted += 1
    assert accepted > 20
