"""Decoded images on disk, found again by the content of the files that they came from."""

import hashlib
import os
from pathlib import Path

import safetensors.torch
from jaxtyping import UInt8
from safetensors import SafetensorError, safe_open
from torch import Tensor

from unlearn_core.home import home
from unlearn_core.store.files import replacing

MAX_CACHE_BYTES = 8 * 1024**3


def load(key: str) -> UInt8[Tensor, "n 3 H W"] | None:
    """The images kept under a key; None when there are none, or when the file isn't what was written."""
    path = _path(key)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            images: Tensor = file.get_tensor("images")
            written = (file.metadata() or {}).get("sha256")
    except (SafetensorError, OSError):
        return None
    if written != _sha256(images):
        return None
    os.utime(path)
    return images


def store(key: str, images: UInt8[Tensor, "n 3 H W"]) -> None:
    """Keeps images under a key, whole or not at all; the longest unused give way to `MAX_CACHE_BYTES`.

    Raises:
        UnlearnError: The disk is full or the folder can't be written.
    """
    path = _path(key)
    with replacing(path) as draft:
        safetensors.torch.save_file({"images": images}, draft, metadata={"sha256": _sha256(images)})
    _make_room(path)


def _path(key: str) -> Path:
    return home() / "cache" / f"{key}.safetensors"


def _sha256(images: Tensor) -> str:
    return hashlib.sha256(images.contiguous().numpy().data).hexdigest()


def _make_room(newest: Path) -> None:
    """Removes the longest unused files beside the newest one until all fit."""
    others = [(path.stat(), path) for path in newest.parent.iterdir() if path != newest]
    used = newest.stat().st_size + sum(stat.st_size for stat, _ in others)
    for stat, path in sorted(others, key=lambda pair: pair[0].st_mtime):
        if used <= MAX_CACHE_BYTES:
            return
        path.unlink(missing_ok=True)
        used -= stat.st_size
