import json
import struct
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save as safetensors_bytes

from tests.checkpoints import hostile
from tests.checkpoints.hostile import assert_equal, refusal, written
from unlearn_core.checkpoints.reading import read_tensors
from unlearn_core.checkpoints.recognition import load_into, recognise
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import ModelSpec

GOOD = hostile.good_tensors()


@pytest.mark.parametrize("ending", ["pt", "pth", "th", "tar", "safetensors", "bin"])
@pytest.mark.parametrize("old", [False, True])
def test_files_of_torch_are_read_whatever_their_ending(tmp_path, ending, old):
    data = hostile.saved(GOOD, _use_new_zipfile_serialization=not old)
    assert_equal(read_tensors(written(tmp_path, data, f"m.{ending}")).tensors, GOOD)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    "dtype",
    [
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
    ],
)
def test_every_plain_kind_of_number(tmp_path, dtype, old):
    tensors = {
        "a.weight": torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype),
        "a.empty": torch.empty(0, dtype=dtype),
    }
    data = hostile.saved(tensors, _use_new_zipfile_serialization=not old)
    assert_equal(read_tensors(written(tmp_path, data)).tensors, tensors)


@pytest.mark.parametrize("old", [False, True])
def test_views_transposes_and_shared_storages_are_copied(tmp_path, old):
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {"a": base.t(), "b": base[1:3, 2:5], "c": base, "d": base[3, 5]}
    path = written(tmp_path, hostile.saved(tensors, _use_new_zipfile_serialization=not old))
    found = read_tensors(path).tensors
    assert_equal(found, tensors)
    assert found["d"].untyped_storage().nbytes() == 4


@pytest.mark.parametrize("old", [False, True])
def test_a_training_checkpoint_with_optimiser_and_parameters(tmp_path, old):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimiser = torch.optim.Adam(net.parameters())
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    optimiser.step()
    whole = {
        "epoch": 12,
        "arch": "net",
        "best": 91.25,
        "done": True,
        "none": None,
        "state_dict": net.state_dict(),
        "optimizer": optimiser.state_dict(),
        "parameters": OrderedDict(net.named_parameters()),
    }
    path = written(tmp_path, hostile.saved(whole, _use_new_zipfile_serialization=not old))
    found = read_tensors(path)
    assert_equal(found.tensors, net.state_dict())
    assert found.chosen == "part 'state_dict'"
    assert found.metadata == {"epoch": "12", "arch": "net", "best": "91.25", "done": "True"}


def test_safetensors_with_metadata(tmp_path):
    data = safetensors_bytes(GOOD, metadata={"epoch": "4"})
    found = read_tensors(written(tmp_path, data, "m.pt"))
    assert_equal(found.tensors, GOOD)
    assert (found.chosen, found.metadata) == ("", {"epoch": "4"})


def test_a_part_can_be_named(tmp_path):
    other = {name: tensor + 1 for name, tensor in GOOD.items()}
    path = written(tmp_path, hostile.saved({"model": GOOD, "ema": other}))
    assert_equal(read_tensors(path).tensors, GOOD)
    assert_equal(read_tensors(path, which="ema").tensors, other)


def test_an_old_published_resnet_goes_all_the_way(tmp_path):
    """The form of a well-known third-party file: old stream, DataParallel names, no batch counters."""
    torch.manual_seed(3)
    net = build_net(ModelSpec("cifar_resnet20_a", 10)).eval()
    tensors = OrderedDict(
        (f"module.{k}", v) for k, v in net.state_dict().items() if "num_batches_tracked" not in k
    )
    whole = {"best_prec1": 91.78, "state_dict": tensors}
    path = written(tmp_path, hostile.saved(whole, _use_new_zipfile_serialization=False), "resnet20.th")
    found = read_tensors(path)
    assert found.chosen == "part 'state_dict'; prefix 'module.' taken off"
    assert found.metadata == {"best_prec1": "91.78"}
    target = build_net(recognise(found.tensors)).eval()
    load_into(target, found.tensors, path.name)
    images = torch.randn(4, 3, 32, 32)
    assert torch.equal(net(images), target(images))


def test_tensors_written_before_torch_0_4(tmp_path):
    old = hostile.tensor((2, 8), (8, 1)).replace(b"_rebuild_tensor_v2", b"_rebuild_tensor")
    old = old.replace(b"\x89ccollections\nOrderedDict\n)R", b"")
    path = written(tmp_path, hostile.with_pickle(hostile.dictionary(("a.weight", old))))
    assert_equal(read_tensors(path).tensors, {"a.weight": torch.zeros(2, 8)})


def test_values_that_are_not_finite_are_refused_by_name(tmp_path):
    for wrong in (float("nan"), float("inf"), -float("inf")):
        tensors = {**GOOD, "last.weight": torch.tensor([[1.0, wrong]])}
        message = refusal(written(tmp_path, hostile.saved(tensors)))
        assert "last.weight" in message and "1 of 2" in message
    assert "last.weight" in refusal(written(tmp_path, safetensors_bytes(tensors)))


def test_values_too_large_for_float32_are_refused_by_name(tmp_path):
    tensors = {**GOOD, "conv.weight": torch.full((2, 3, 1, 1), 1e300, dtype=torch.float64)}
    assert "conv.weight has 6 of 6 values that are NaN" in refusal(written(tmp_path, hostile.saved(tensors)))


def test_a_negative_variance_is_refused_by_name(tmp_path):
    tensors = {"bn.running_mean": torch.tensor([-1.0]), "bn.running_var": torch.tensor([-1.0])}
    assert "bn.running_var" in refusal(written(tmp_path, hostile.saved(tensors)))


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "a\0b",
        '=HYPERLINK("x")',
        "a" * 10_000,
        "\u202eabc",
        "a b",
        "",
    ],
)
@pytest.mark.parametrize("write", [hostile.saved, safetensors_bytes])
def test_strange_names_are_refused_and_shown_harmlessly(tmp_path, name, write):
    message = refusal(written(tmp_path, write({"conv.weight": torch.ones(1), name: torch.ones(1)})))
    assert message.isascii() and "\0" not in message and len(message) < 400


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2).to(torch.float8_e4m3fn),
        torch.ones(2, 2).to_sparse(),
        torch.empty(2, device="meta"),
    ],
    ids=["complex", "float8", "sparse", "meta"],
)
def test_other_kinds_of_tensors_are_refused(tmp_path, value):
    refusal(written(tmp_path, hostile.saved({"conv.weight": torch.ones(1), "strange": value})))


def header(entries, data=b""):
    raw = json.dumps(entries).encode()
    return struct.pack("<Q", len(raw)) + raw + data


@pytest.mark.parametrize(
    "data",
    [
        header({"a": {"dtype": "F32", "shape": [2**62, 0], "data_offsets": [0, 0]}}),
        header({"a": {"dtype": "F32", "shape": [1] * 9, "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}),
        header({"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "XYZ", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)),
        header({f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(20_001)}),
        header({}),
        struct.pack("<Q", 20) + b'{"a": [1, 2, 3],    ',
    ],
    ids=[
        "2**62",
        "rank 9",
        "short",
        "no data",
        "float8",
        "unknown kind",
        "20,001 tensors",
        "none",
        "no JSON",
    ],
)
def test_safetensors_that_no_net_needs(tmp_path, data):
    refusal(written(tmp_path, data, "m.safetensors"))
