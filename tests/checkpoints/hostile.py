"""Files that someone might hand in, made at test time: nothing hostile lies in the repository."""

import functools
import io
import os
import pickle
import struct
import subprocess
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from unlearn_core.checkpoints.reading import read_tensors
from unlearn_core.errors import UnlearnError

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)


def written(folder, data, name="model.pt"):
    """The path of a file with these bytes."""
    path = folder / name
    path.write_bytes(data)
    return path


def refusal(path):
    """What the reader says of a file that it must refuse: one sentence or two, naming the file."""
    with pytest.raises(UnlearnError) as caught:
        read_tensors(path)
    message = str(caught.value)
    assert str(path) in message and message.endswith(".") and "\n" not in message
    return message


def assert_equal(found, expected):
    """The same tensors of the same kinds, each with its numbers in a row."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)
        assert found[name].is_contiguous()


class Call:
    """Pickles to a call of any function with any arguments."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


class Net(torch.nn.Linear):
    """A module that someone pickles whole."""

    def __init__(self):
        super().__init__(2, 2)


def good_tensors():
    torch.manual_seed(0)
    return {"conv.weight": torch.randn(4, 3, 3, 3), "conv.bias": torch.randn(4), "steps": torch.tensor(7)}


def saved(obj, **options):
    """The bytes that torch.save writes."""
    stream = io.BytesIO()
    torch.save(obj, stream, **options)
    return stream.getvalue()


def zipped(parts, compression=zipfile.ZIP_STORED, folder="archive"):
    """A zip of (name, content) pairs; the same name may come twice."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of a name that comes twice
        for name, content in parts:
            archive.writestr(f"{folder}/{name}" if folder else name, content)
    return stream.getvalue()


def parts_of(data):
    """(name, content) of each part of a file of torch.save, without the folder."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(e.filename.split("/", 1)[1], archive.read(e)) for e in archive.infolist()]


def with_pickle(payload, **more):
    """A file of torch.save whose data.pkl is replaced by these bytes."""
    return zipped([("data.pkl", payload), ("version", b"3\n"), ("data/0", bytes(64)), *more.items()])


def text(value):
    """The opcode that pushes a text."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value):
    """The opcode that pushes a whole number."""
    raw = value.to_bytes((value.bit_length() // 8) + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def numbers(values):
    """The opcodes that push a tuple of whole numbers."""
    return b"(" + b"".join(number(v) for v in values) + b"t"


def tensor(size, stride, numel=16, offset=0, key="0", kind="FloatStorage"):
    """The opcodes that push a tensor looking through this window at a storage."""
    pid = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu")
    storage = pid + number(numel) + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    window = number(offset) + numbers(size) + numbers(stride)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + window + b"\x89" + hooks + b"tR"


def dictionary(*pairs):
    """A pickle of a dictionary; keys are texts, values opcodes."""
    return b"\x80\x02}(" + b"".join(text(k) + v for k, v in pairs) + b"u."


def window(*args, **options):
    """A file with one tensor that looks through this window at 64 bytes."""
    return with_pickle(dictionary(("conv.weight", tensor(*args, **options))))


def legacy(payload, keys=(), storages=b""):
    """A stream of torch's old format around any pickle of data."""
    info = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
    return MAGIC + pickle.dumps(1001, 2) + info + payload + pickle.dumps(list(keys), 2) + storages


def command(marker: Path):
    """A shell command that leaves a trace."""
    return f"touch {marker}"


def running(marker: Path):
    """Files that would run a command, by name."""
    system = pickle.dumps({"a": Call(os.system, command(marker))}, 2)
    popen = b"\x80\x02ccommands\nPopen\n(" + text(command(marker)) + b"tR."
    evaluate = b"\x80\x02c__builtin__\neval\n(" + text(f"open({str(marker)!r}, 'w')") + b"tR."
    good = parts_of(saved(good_tensors()))
    evil = ("data.pkl", system)
    built = b"\x80\x02ccollections\nOrderedDict\n)R}(" + text("items") + b"cos\nsystem\nub."
    shadowed = b"\x80\x02ccollections\nOrderedDict\n)R}(" + text("items") + text("x") + b"ub."
    return {
        "os.system": with_pickle(system),
        "os.system saved by torch": saved({"a": Call(os.system, command(marker))}),
        "subprocess.Popen": saved(Call(subprocess.Popen, command(marker))),
        "commands.Popen": with_pickle(popen),
        "eval": with_pickle(evaluate),
        "plain pickle": system,
        "plain pickle of protocol 4": pickle.dumps(Call(os.system, command(marker)), 4),
        "protocol 4 in a zip": with_pickle(pickle.dumps(Call(os.system, command(marker)), 4)),
        "old format": saved({"a": Call(os.system, command(marker))}, _use_new_zipfile_serialization=False),
        "old format, in the key list": legacy(dictionary()).removesuffix(pickle.dumps([], 2)) + system,
        "old format, in the system record": MAGIC + pickle.dumps(1001, 2) + system,
        "old format, in the version": MAGIC + system,
        "data.pkl twice, evil first": zipped([evil, *good]),
        "data.pkl twice, evil last": zipped([*good, evil]),
        "data.pkl twice, in capitals": zipped([*good, ("DATA.PKL", system)]),
        "a method replaced by a function": with_pickle(built),
        "a method replaced by a text": with_pickle(shadowed),
        "a whole module": saved(Net()),
    }


@functools.cache
def misleading():
    """Files whose pickle or container lies about sizes, by name."""
    good = saved(good_tensors())
    ones = bytes(64)
    deflated = zipped([*parts_of(good)[:-1], ("data/9", bytes(2**20))], zipfile.ZIP_DEFLATED)
    crowd = zipped([*parts_of(good), *((f"data/x{i}", b"") for i in range(20_001))])
    return {
        "stride 0": window((10**6, 10**6), (0, 0)),
        "stride 0 in one dimension": window((64,), (0,)),
        "a window outside": window((16,), (1,), offset=8),
        "a far stride": window((2,), (2**40,)),
        "a negative stride": window((2,), (-1,), offset=1),
        "a negative size": window((-2,), (1,)),
        "a storage larger than its part": window((2**30,), (1,), numel=2**30),
        "a storage of 2**70": window((4,), (1,), numel=2**70),
        "an empty tensor of 2**62": window((0, 2**62), (1, 1)),
        "rank 9": window((1,) * 9, (1,) * 9),
        "a storage that is not there": window((16,), (1,), key="7"),
        "a storage outside the folder": window((16,), (1,), key="../../data.pkl"),
        "a complex storage": window((8,), (1,), numel=8, kind="ComplexFloatStorage"),
        "a quantised storage": window((16,), (1,), kind="QInt8Storage"),
        "a compressed part": deflated,
        "20,001 parts": crowd,
        "a folder above": zipped(parts_of(good), folder=".."),
        "no folder": zipped(parts_of(good), folder=""),
        "two folders": zipped([*((f"a/{n}", c) for n, c in parts_of(good)), ("b/version", b"3")], folder=""),
        "another zip": zipped([("hello.txt", b"hello")]),
        "text after the end": good + b"trailing",
        "a shell script before the start": b"#!/bin/sh\n" + good,
        "a million lists": with_pickle(b"\x80\x02" + b"]" * 10**6 + b"a" * (10**6 - 1) + b"."),
        "a million marks": with_pickle(b"\x80\x02" + b"(" * 10**6 + b"t" * 10**6 + b"."),
        "a key of doubled tuples": with_pickle(b"\x80\x02})" + b"q\x01h\x01\x86" * 60 + b"K\x01s."),
        "a text of 4 GB": with_pickle(b"\x80\x02X\xff\xff\xff\xffabc."),
        "no end": with_pickle(b"\x80\x02}"),
        "an empty pickle": with_pickle(b""),
        "an unknown place in the memo": with_pickle(b"\x80\x02h\x05."),
        "a pop from nothing": with_pickle(b"\x80\x02R."),
        "a value without a key": with_pickle(b"\x80\x02}(K\x01u."),
        "old format, storage of 2**40": legacy(
            dictionary(("a", tensor((4,), (1,), 2**40))), ["0"], struct.pack("<q", 2**40) + ones
        ),
        "old format, other length": legacy(
            dictionary(("a", tensor((4,), (1,)))), ["0"], struct.pack("<q", 15) + ones
        ),
        "old format, other keys": legacy(
            dictionary(("a", tensor((4,), (1,)))), ["1"], struct.pack("<q", 16) + ones
        ),
        "old format, no keys": legacy(dictionary(("a", tensor((4,), (1,)))), [], b""),
        "old format, more behind": saved(good_tensors(), _use_new_zipfile_serialization=False) + b"more",
    }
