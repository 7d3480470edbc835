"""Bad Teacher: a student that learns the forget set from a teacher who knows nothing, and the rest from the original model.

    min_θ E_x KL(t(x) || student(x)),   t = a randomly initialised network on D_f, the original model on a share of D_r.

Paper: Chundawat et al., "Can Bad Teaching Induce Forgetting?", AAAI 2023, arXiv 2205.08096, section 4. Deviations:
the divergence is the mean over the batch (the released code also divides by the number of classes: its rate is not
ours); the ignorant teacher normalises by each batch's own statistics, because the networks here are initialised for
batch norms that do, and without them it would be sure of one class.
"""

import torch
from torch import Tensor, nn

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of
from unlearn_core.models.training import Loss, Pass
from unlearn_core.unlearning.methods.bad_teacher import BadTeacherParams
from unlearn_core.unlearning.scrub import kl
from unlearn_core.unlearning.steps import bn_facts, descend, drawn, frozen_copy, joined, relabelled
from unlearn_core.unlearning.task import Outcome, Task

# Numbers the ignorant teacher's weights apart from those of a retrained model with the task's own seed.
TEACHER_SEED = 7919


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
