"""Bad Teacher: a student that learns the forget set from a teacher who knows nothing, and the rest from the original model.

    min_θ E_x KL(t(x) || student(x)),   t = a randomly initialised network on D_f, the original model on a share of D_r.

Paper: Chundawat et al., "Can Bad Teaching Induce Forgetting?", AAAI 2023, arXiv 2205.08096, section 4. Deviations:
the divergence is the mean over the batch (the released code also divides by the number of classes: its rate is not
ours); the ignorant teacher normalises by each batch's own statistics, because the networks here are initialised for
batch norms that do, and without them it would be sure of one class.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of
from unlearn_core.models.training import SCHEDULES, Loss, Pass, Recipe
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Method, Outcome, Task
from unlearn_core.unlearning.scrub import kl
from unlearn_core.unlearning.steps import bn_facts, descend, drawn, frozen_copy, joined, relabelled

# Numbers the ignorant teacher's weights apart from those of a retrained model with the task's own seed.
TEACHER_SEED = 7919


@dataclass(frozen=True)
class BadTeacherParams(Recipe):
    """Published: 1 epoch of Adam at 1e-4, batches of 256, T = 1, 30 % of the retain set."""

    epochs: int = setting(1, "Passes over the mixed images", low=0, high=1000)
    lr: float = setting(1e-4, "Learning rate; published for Adam: 1e-4", low=0.0, high=10.0)
    batch_size: int = setting(256, "Images in a step", low=1, high=4096)
    weight_decay: float = setting(0.0, "L2 penalty on all weights; published: none", low=0.0, high=1.0)
    schedule: str = setting("constant", "Course of the learning rate", choices=SCHEDULES)
    optimizer: str = setting("adam", "Published: adam", choices=("adam", "sgd"))
    retain_share: float = setting(
        0.3, "Share of the retain set that is mixed in; published: 0.3", low=0.0, high=1.0
    )
    temperature: float = setting(1.0, "Softens the answers; published: 1", low=0.1, high=100.0)


def run(model: Classifier, params: BadTeacherParams, task: Task) -> Outcome:
    """Trains the student in place."""
    forget, retain = task.split.forget, task.split.retain
    sample = drawn(retain, round(params.retain_share * len(retain)), task.seed)
    flags = torch.cat([torch.ones(len(forget)), torch.zeros(len(sample))])
    mixed = relabelled(joined([forget, sample]), flags)
    ignorant = frozen_copy(task.fresh(task.seed + TEACHER_SEED).to(device_of(model))).train()
    loss = lesson(frozen_copy(model), ignorant, params.temperature)
    descend(model, [[Pass(mixed, loss)]] * params.epochs, params, task, optimizer=params.optimizer)
    return Outcome(model, facts={**bn_facts(params), "retain_images": len(sample)})


def lesson(competent: Classifier, ignorant: Classifier, temperature: float) -> Loss:
    """The divergence from the teacher of each image; what stands for the label is 1 for images to forget."""

    def loss(model: nn.Module, images: Tensor, forgotten: Tensor) -> Tensor:
        with torch.no_grad():
            answers = torch.where(
                forgotten[:, None] == 1, ignorant(images).float(), competent(images).float()
            )
        return kl(answers, model(images).float(), temperature)

    return loss


METHOD = Method(
    name="bad_teacher",
    label="Bad Teacher",
    about="Learns the forget set from a random network and the rest from the original one.",
    paper="Chundawat et al., Can Bad Teaching Induce Forgetting?, AAAI 2023",
    link="https://arxiv.org/abs/2205.08096",
    params=BadTeacherParams,
    run=run,
)
