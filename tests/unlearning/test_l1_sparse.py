"""l1-sparse: its schedules by hand, exact zeros by the proximal step, and what the norm takes in."""

import copy

import pytest
import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.models.training import DIVERGED, cross_entropy
from unlearn_core.params import build
from unlearn_core.unlearning.l1_sparse import _penalised, gammas, penalised_parameters, run, soft_threshold
from unlearn_core.unlearning.methods.l1_sparse import L1SparseParams

QUICK = {"epochs": 2, "batch_size": 20, "lr": 0.02, "augment": "none", "precision": "float32"}


@pytest.mark.parametrize(
    ("penalty", "free", "expected"),
    [
        ("constant", 0, [2, 2, 2, 2]),
        ("decreasing", 0, [2, 1.5, 1, 0.5]),
        ("decreasing", 2, [2, 1, 0, 0]),
        ("increasing", 0, [0, 0.5, 1, 1.5]),
        ("increasing", 2, [0, 1, 0, 0]),
        ("decreasing", 4, [0, 0, 0, 0]),
    ],
)
def test_the_schedules(penalty, free, expected):
    params = build(L1SparseParams, {"epochs": 4, "gamma": 2, "penalty": penalty, "free_epochs": free})
    assert gammas(params) == pytest.approx(expected)


def test_a_large_penalty_is_no_divergence(trained, task_of):
    model = copy.deepcopy(trained)
    with torch.no_grad():
        for p in model.net.parameters():
            p.mul_(1000 if p.ndim == 4 else 1)  # behind a batch norm that changes no answer
    assert 10 * sum(p.abs().sum() for p in model.net.parameters()) > DIVERGED
    values = {**QUICK, "lr": 1e-9, "gamma": 10.0, "epochs": 1}
    assert run(model, build(L1SparseParams, values), task_of()).facts["sparsity"] < 1


def test_more_free_epochs_than_epochs_are_refused():
    with pytest.raises(UnlearnError, match="free_epochs can't be 5"):
        gammas(build(L1SparseParams, {"epochs": 4, "free_epochs": 5}))


def test_the_loss_has_the_norm_of_every_parameter_or_of_weights(trained, task_of):
    task = task_of()
    images, labels = task.split.retain.images[:8], task.split.retain.labels[:8]
    for penalize in ("all", "weights"):
        params = build(L1SparseParams, {"penalize": penalize})
        norm = sum(p.abs().sum() for p in trained.net.parameters() if penalize == "all" or p.ndim > 1)
        value = _penalised(trained, 0.5, params, task).loss(trained, images, labels)
        torch.testing.assert_close(value, cross_entropy(trained, images, labels) + 0.5 * norm)
    assert len(penalised_parameters(trained.net, params)) < len(list(trained.net.parameters()))


def test_soft_threshold_by_hand():
    values = torch.nn.Parameter(torch.tensor([-2.0, -0.3, 0.0, 0.5, 0.7]))
    soft_threshold([values], 0.5)
    torch.testing.assert_close(values.data, torch.tensor([-1.5, 0, 0, 0, 0.2]))


def test_only_the_proximal_step_makes_exact_zeros(trained, task_of):
    facts = [
        run(
            copy.deepcopy(trained), build(L1SparseParams, {**QUICK, "gamma": 0.05, "proximal": p}), task_of()
        ).facts
        for p in (False, True)
    ]
    assert facts[0]["exact_zeros"] < 0.01 < 0.1 < facts[1]["exact_zeros"] <= facts[1]["sparsity"]


def test_a_stronger_penalty_leaves_a_smaller_norm(trained, task_of):
    def norm(gamma):
        model = copy.deepcopy(trained)
        run(model, build(L1SparseParams, {**QUICK, "gamma": gamma}), task_of())
        return sum(p.abs().sum().item() for p in model.net.parameters())

    assert norm(0.05) < 0.9 * norm(0.0)
