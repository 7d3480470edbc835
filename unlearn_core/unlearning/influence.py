"""IU: one step to where retraining would lead to first order, by the influence function.

With weights 1/N on every training image, leaving out D_f moves the minimum by `H^-1 v`,

    v = (1/N) Σ_{D_f} ∇ℓ - n_f / (N n_r) Σ_{D_r} ∇ℓ,        θ_u = θ + α H^-1 v,

where H is the empirical Fisher of m retained images plus damping, `F = λI + (1/m) Gᵀ G` for the m x d gradients G.

- `woodbury` solves it: `x = (v - Gᵀ (mλI + G Gᵀ)^-1 G v) / λ`. Only the m x m matrix is ever stored: one pass makes
  it block by block (gradients that don't fit in `memory` are computed again for each block), another forms `Gᵀ a` as
  one weighted gradient.
- `released` is the authors' recursion. It never refreshes its auxiliary vector with new gradients, so `H^-1 v - v`
  stays parallel to the first image's gradient: in effect one scaled gradient step. It is here to repeat their tables.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 3 and
appendix A; Koh and Liang, ICML 2017; Izzo et al., AISTATS 2021. Deviations: the m images are drawn at random (the
code takes the first 1,002), pixels are not augmented, and on a sparse model all gradients are restricted to the
weights that are kept.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unlearn_core.data.sets import ImageSet
from unlearn_core.models.classifier import Classifier
from unlearn_core.progress import Progress
from unlearn_core.unlearning.gradients import flat, per_image_gradients, set_flat, unmasked, weighted_gradient
from unlearn_core.unlearning.methods.influence import InfluenceParams, chunk_size
from unlearn_core.unlearning.steps import UNTOUCHED_BN, drawn, require_finite
from unlearn_core.unlearning.task import Outcome, Task
from unlearn_core.words import percent

Rows = Callable[[Int64[Tensor, " c"]], Float[Tensor, "c d"]]
"""The gradients of the sampled images at these positions."""

# The released code's constant; its Fisher is a sum over samples divided by this, however many there are.
RELEASED_N = 1000
LARGE_SHARE = 0.1


def run(model: Classifier, params: InfluenceParams, task: Task) -> Outcome:
    """Adds the step to the weights, in place."""
    keep = unmasked(model, task)
    v = direction(model, params, task) * keep
    sample = drawn(task.split.retain, params.samples, task.seed)

    def rows(batch: Tensor) -> Tensor:
        return per_image_gradients(model, sample.select(batch)) * keep

    chunk = chunk_size(len(sample), len(v), params.memory)
    step = SOLVERS[params.solver](model, v, sample, rows, chunk, params, task) * keep
    set_flat(model, flat(model) + params.alpha * step)
    task.enforce(model)
    require_finite(model, "lower alpha or raise the damping.")
    return Outcome(model, facts={**UNTOUCHED_BN, **_facts(params, task, len(sample), chunk, v, step)})


def direction(model: Classifier, params: InfluenceParams, task: Task) -> Float[Tensor, " d"]:
    """v: what the forget set pulls the weights by, beyond the retain set."""
    forget, retain = task.split.forget, task.split.retain
    whole = len(forget) + len(retain)

    def gradient(images: ImageSet, weight: float, stage: str) -> Tensor:
        weights = torch.full((len(images),), weight)
        return weighted_gradient(
            model, images, weights, batch_size=params.batch_size, report=task.report, stage=stage
        )

    pull = gradient(forget, 1 / whole, "gradient of the forget set")
    return pull - gradient(retain, len(forget) / (whole * len(retain)), "gradient of the retain set")


def woodbury(
    model: Classifier,
    v: Float[Tensor, " d"],
    sample: ImageSet,
    rows: Rows,
    chunk: int,
    params: InfluenceParams,
    task: Task,
) -> Float[Tensor, " d"]:
    """(λI + GᵀG/m)^-1 v by Woodbury's identity; the m x m system is solved in float64."""
    m = len(sample)
    gram, projected = gram_of(rows, v, m, chunk, task)
    system = gram + m * params.damping * torch.eye(m, dtype=torch.float64)
    a = torch.linalg.solve(system, projected).float()
    back = weighted_gradient(
        model,
        sample,
        a,
        batch_size=params.batch_size,
        report=task.report,
        stage="correcting by the curvature",
    )
    return (v - back) / params.damping


def gram_of(
    rows: Rows, v: Float[Tensor, " d"], m: int, chunk: int, task: Task
) -> tuple[Float[Tensor, "m m"], Float[Tensor, " m"]]:
    """G Gᵀ and G v in float64 on the CPU, with at most two chunks of gradients in memory at a time."""
    parts = torch.arange(m).split(chunk)
    gram, projected = torch.zeros(m, m, dtype=torch.float64), torch.zeros(m, dtype=torch.float64)
    total, done = len(parts) * (len(parts) + 1) // 2, 0
    for i, left in enumerate(parts):
        at_left = rows(left)
        projected[left] = (at_left @ v).cpu().double()
        for right in parts[i:]:
            at_right = at_left if right is left else rows(right)
            block = (at_left @ at_right.T).cpu().double()
            gram[left[:, None], right] = block
            gram[right[:, None], left] = block.T
            done += 1
            task.report(Progress("curvature", done, total))
    return gram, projected


def released(
    model: Classifier,
    v: Float[Tensor, " d"],
    sample: ImageSet,
    rows: Rows,
    chunk: int,
    params: InfluenceParams,
    task: Task,
) -> Float[Tensor, " d"]:
    """The authors' recursion over single gradients, as released."""
    n = RELEASED_N * params.damping
    k, o = v.clone(), torch.zeros(0)
    parts = torch.arange(len(sample)).split(chunk)
    for step, batch in enumerate(parts):
        for g in rows(batch):
            if not len(o):
                o = g.clone()
                continue
            along = torch.dot(o, g)
            k -= torch.dot(k, g) / (n + along) * o
            o -= along / (n + along) * o
        task.report(Progress("curvature", step + 1, len(parts)))
    return k


def _facts(
    params: InfluenceParams, task: Task, samples: int, chunk: int, v: Tensor, step: Tensor
) -> Mapping[str, Any]:
    share = len(task.split.forget) / (len(task.split.forget) + len(task.split.retain))
    facts = {
        "solver": params.solver,
        "samples": samples,
        "samples_at_a_time": chunk,
        "gradient_norm": float(v.norm()),
        "step_norm": float(params.alpha * step.norm()),
    }
    if share > LARGE_SHARE:
        facts["notes"] = [
            f"{percent(share, 0)} of the training images are forgotten; the expansion behind this method is meant for "
            "a few percent."
        ]
    return facts


SOLVERS = {"woodbury": woodbury, "released": released}
