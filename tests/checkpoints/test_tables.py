"""What a checkpoint holds and where it differs, one row a tensor."""

from pathlib import Path

import torch

from unlearn_core.checkpoints.tables import difference_rows, tensor_rows
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import ModelSpec


def test_every_tensor_is_a_row(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2, 3), "b": torch.tensor(1.0, dtype=torch.float64)}, tmp_path / "a.pt")
    rows = {row.pop("tensor"): row for row in tensor_rows(tmp_path / "a.pt")}
    assert rows["w"] == {"shape": "2 × 3", "kind": "float32"}
    assert rows["b"] == {"shape": "one number", "kind": "float64"}


def test_each_difference_is_a_row(tmp_path: Path) -> None:
    state = build_net(ModelSpec("cifar_resnet20_a", 10)).state_dict()
    torch.save(state, tmp_path / "same.pt")
    assert difference_rows(tmp_path / "same.pt", "cifar_resnet20_a", 10) == []
    [bias] = [name for name, tensor in state.items() if name.endswith("bias") and tensor.shape == (10,)]
    changed = {name: tensor for name, tensor in state.items() if name != "bn1.weight"}
    changed = {**changed, bias: torch.zeros(7), "extra": torch.zeros(1)}
    torch.save(changed, tmp_path / "other.pt")
    rows = {row["tensor"]: row for row in difference_rows(tmp_path / "other.pt", "cifar_resnet20_a", 10)}
    assert rows[bias]["problem"] == "another shape: 10 expected" and rows[bias]["in the file"] == "7"
    assert rows["bn1.weight"]["problem"] == "missing from the file"
    assert rows["extra"]["problem"] == "unknown to the architecture"
    assert len(rows) == 3
