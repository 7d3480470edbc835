"""IMP: nested masks, published sparsities, and going on after a stop."""

import pytest
import torch

from unlearn_core.progress import RunCancelled
from unlearn_core.sparsify import imp
from unlearn_core.sparsify.imp import find
from unlearn_core.sparsify.methods.imp import ImpParams, sparsities


def test_a_fifth_of_what_remains_goes_each_round():
    """The published table: 7 rounds 79.0 %, 10 rounds 89.3 %, 14 rounds 95.6 %, 20 rounds 98.8 %."""
    for rounds, percent in ((7, 79.0), (10, 89.3), (14, 95.6), (20, 98.8)):
        course = sparsities(ImpParams(sparsity=1 - 0.8**rounds))
        assert len(course) == rounds
        assert course[-1] == pytest.approx(percent / 100, abs=5e-4)
        assert course[0] == pytest.approx(0.2) or rounds == 1
    assert sparsities(ImpParams(sparsity=0.9))[-2:] == [pytest.approx(1 - 0.8**10), 0.9]
    assert sparsities(ImpParams(sparsity=0.0)) == [0.0]


def test_a_weight_once_gone_stays_gone(quick, sparse_task, monkeypatch):
    seen = []
    rank = imp.largest
    monkeypatch.setattr(imp, "largest", lambda scores, s: seen.append(rank(scores, s)) or seen[-1])
    params = quick("imp", sparsity=0.7, rate=0.5, epochs=1)
    mask = find(params, sparse_task(params)).mask
    assert len(seen) == 2
    assert mask.sparsity() == pytest.approx(0.7, abs=1e-3)
    for name, keep in mask.keep.items():
        assert not (keep & ~seen[0].keep[name]).any()


def test_goes_on_from_the_last_finished_round(quick, sparse_task, tmp_path):
    params = quick("imp", sparsity=0.7, rate=0.4, epochs=1, rewind="init")
    whole = find(params, sparse_task(params, folder=tmp_path / "whole"))
    stages = []

    def stop(progress):
        stages.append(progress.stage)
        if progress.stage == "round 2 of 3":
            raise RunCancelled

    with pytest.raises(RunCancelled):
        find(params, sparse_task(params, report=stop, folder=tmp_path / "cut"))
    again = []
    task = sparse_task(params, report=lambda p: again.append(p.stage), folder=tmp_path / "cut")
    resumed = find(params, task)
    assert set(stages) == {"training the dense model", "round 1 of 3", "round 2 of 3"}
    assert set(again) == {"round 2 of 3"}
    assert task.stages.recalled > 0
    assert all(torch.equal(resumed.mask.keep[n], k) for n, k in whole.mask.keep.items())
    assert all(torch.equal(resumed.start[n], t) for n, t in whole.start.items())
