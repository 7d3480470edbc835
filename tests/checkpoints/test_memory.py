"""What a file takes is known before a number is read, and is bounded by what the file holds."""

import pytest
import torch

from tests.checkpoints import hostile
from tests.checkpoints.hostile import refusal, written
from unlearn_core.checkpoints import containers


@pytest.mark.parametrize("old", [False, True])
def test_many_views_of_one_storage_are_refused_before_a_number_is_read(tmp_path, monkeypatch, old):
    base = torch.zeros(2**18)
    views = {f"layer{i}.weight": base.view(512, 512) for i in range(200)}
    path = written(tmp_path, hostile.saved(views, _use_new_zipfile_serialization=not old))
    monkeypatch.setattr(containers, "_bytes_at", lambda *args: pytest.fail("numbers were read"))
    message = refusal(path)
    assert "209,715,200 bytes of memory" in message and ".clone()" in message
