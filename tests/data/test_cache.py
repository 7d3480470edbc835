"""The cache of decoded images."""

import os
from pathlib import Path

import pytest
import torch

from unlearn_core.data import cache

IMAGES = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).reshape(2, 3, 4, 4)


def test_what_is_stored_is_loaded_and_nothing_else_lies_about(own_home: Path) -> None:
    assert cache.load("k") is None
    cache.store("k", IMAGES)
    loaded = cache.load("k")
    assert loaded is not None
    assert torch.equal(loaded, IMAGES)
    assert [path.name for path in (own_home / "cache").iterdir()] == ["k.safetensors"]


@pytest.mark.parametrize("position", [0, 9, 60, -1])
def test_damage_is_a_miss(own_home: Path, position: int) -> None:
    cache.store("k", IMAGES)
    path = own_home / "cache" / "k.safetensors"
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
    assert cache.load("k") is None


def test_longest_unused_gives_way(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, key in enumerate("abc"):
        cache.store(key, IMAGES)
        os.utime(own_home / "cache" / f"{key}.safetensors", (age, age))
    assert cache.load("a") is not None  # now the youngest but for the next
    size = (own_home / "cache" / "a.safetensors").stat().st_size
    monkeypatch.setattr(cache, "MAX_CACHE_BYTES", 3 * size)
    cache.store("d", IMAGES)
    assert [key for key in "abcd" if cache.load(key) is not None] == ["a", "c", "d"]
    monkeypatch.setattr(cache, "MAX_CACHE_BYTES", 1)
    cache.store("e", IMAGES)
    assert [key for key in "abcde" if cache.load(key) is not None] == ["e"]
