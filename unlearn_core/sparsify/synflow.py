"""SynFlow: removes the weights that carry least of a synthetic flow through the untrained network; sees no data.

Paper: Tanaka et al., "Pruning Neural Networks Without Any Data by Iteratively Conserving Synaptic Flow", NeurIPS 2020,
arXiv 2006.05467, algorithm 1. Published: 100 rounds at initialisation, then the whole training.
Deviation from released code: float64, because the flow of a deep network overflows float32; and the number of weights
that stay after round k is rounded from the whole, so that roundings don't add up.
"""

import copy

import torch
from torch import Tensor, nn

from unlearn_core.errors import UnlearnError
from unlearn_core.models.inference import device_of, exact_device
from unlearn_core.progress import Progress
from unlearn_core.sparsify.mask import conv_weights, count_to_keep, keep_highest
from unlearn_core.sparsify.methods.synflow import SynFlowParams
from unlearn_core.sparsify.task import Found, SparseTask, copied


def find(params: SynFlowParams, task: SparseTask) -> Found:
    """The mask of a newly initialised network, which training then begins with."""
    model = task.fresh(task.seed)
    net = positive(model.net)
    ones = torch.ones(1, model.in_channels, *task.size, dtype=torch.float64, device=device_of(net))
    total = sum(w.numel() for w in conv_weights(net).values())
    for k in range(1, params.rounds + 1):
        share_gone = 1 - (1 - params.sparsity) ** (k / params.rounds)
        mask = keep_highest(flow(net, ones), count_to_keep(total, share_gone))
        mask.enforce(net)
        task.report(Progress("SynFlow", k, params.rounds))
    return Found(mask, copied(model), {"rounds": params.rounds})


def positive(net: nn.Module) -> nn.Module:
    """A copy in float64 and evaluation mode with the absolute value of every weight and buffer: no sign is lost."""
    net = copy.deepcopy(net).to(exact_device(device_of(net))).double().eval()
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.abs_()
    return net


def flow(net: nn.Module, ones: Tensor) -> dict[str, Tensor]:
    """Each weight's share of the flow: |dR/dw w|, where R is the sum of the logits for an input of ones.

    Raises:
        UnlearnError: Nothing flows through the network any more.
    """
    weights = conv_weights(net)
    with torch.enable_grad():
        gradients = torch.autograd.grad(net(ones).sum(), list(weights.values()), allow_unused=True)
    scores = {
        name: torch.zeros_like(w) if g is None else (g * w.detach()).abs()
        for (name, w), g in zip(weights.items(), gradients, strict=True)
    }
    if not any(s.any() for s in scores.values()):
        raise UnlearnError("Nothing flows through the network at this sparsity; choose a lower one.")
    return scores
