"""What a checkpoint holds, and where it differs from a net, as rows for a person who looks for the reason."""

from pathlib import Path

from unlearn_core.checkpoints.reading import read_tensors
from unlearn_core.checkpoints.recognition import differences
from unlearn_core.models.registry import build_shell
from unlearn_core.models.specs import ModelSpec


def difference_rows(path: Path, arch: str, classes: int) -> list[dict[str, str]]:
    """Where a checkpoint's tensors and an architecture disagree: one row a tensor."""
    between = differences(build_shell(ModelSpec(arch, classes)), read_tensors(path).tensors)
    reshaped = [
        _row(name, f"another shape: {_shape(of_net)} expected", _shape(of_file))
        for name, of_file, of_net in between.reshaped
    ]
    missing = [_row(name, "missing from the file") for name in between.missing]
    unexpected = [_row(name, "unknown to the architecture") for name in between.unexpected]
    return [*reshaped, *missing, *unexpected]


def tensor_rows(path: Path) -> list[dict[str, str]]:
    """What a checkpoint holds: name, shape and kind of each tensor."""
    return [
        {"tensor": name, "shape": _shape(tuple(t.shape)), "kind": str(t.dtype).removeprefix("torch.")}
        for name, t in read_tensors(path).tensors.items()
    ]


def _row(tensor: str, problem: str, in_file: str = "") -> dict[str, str]:
    return {"tensor": tensor, "problem": problem, "in the file": in_file}


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "one number"
