"""Which weights of convolutions stay: the mask of a sparse model.

As published, only weights of convolutions are pruned, all layers are ranked together, and sparsity is the share of these
weights that is gone; classifiers and batch norms stay whole.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unlearn_core.errors import UnlearnError


@dataclass(frozen=True, eq=False)
class SparseMask:
    """The weights that stay.

    Attributes:
        keep: True where a weight stays, by the parameter's name in the bare network; shaped like the parameter.
    """

    keep: Mapping[str, Tensor]

    @torch.no_grad()
    def enforce(self, net: nn.Module) -> None:
        """Sets all other weights to zero, in place; to be called after every step that moves weights.

        Raises:
            UnlearnError: The mask is of another network.
        """
        parameters = dict(net.named_parameters())
        for name, keep in self.keep.items():
            if name not in parameters or parameters[name].shape != keep.shape:
                raise UnlearnError(
                    f"This mask is of another model: it has no weights {name!r} of shape {tuple(keep.shape)}."
                )
            parameters[name].masked_fill_(~keep.to(parameters[name].device), 0.0)

    def to(self, device: torch.device) -> "SparseMask":
        """The same mask on a device: where the network lies, a step needs no copy."""
        return SparseMask({name: keep.to(device) for name, keep in self.keep.items()})

    def sparsity(self) -> float:
        """Share of the masked layers' weights that are gone, in [0, 1]."""
        return 1 - sum(int(k.sum()) for k in self.keep.values()) / sum(k.numel() for k in self.keep.values())

    def by_layer(self) -> dict[str, dict[str, Any]]:
        """For each convolution: its weights, those that stay, and its sparsity in [0, 1]."""
        return {
            name.removesuffix(".weight"): {
                "weights": keep.numel(),
                "kept": int(keep.sum()),
                "sparsity": 1 - int(keep.sum()) / keep.numel(),
            }
            for name, keep in self.keep.items()
        }

    def to_tensors(self) -> dict[str, Tensor]:
        """The mask as uint8 tensors; `mask_from_tensors` reverses it."""
        return {name: keep.to("cpu", torch.uint8) for name, keep in self.keep.items()}


def mask_from_tensors(tensors: Mapping[str, Tensor]) -> SparseMask:
    """The mask that `to_tensors` wrote, checked.

    Raises:
        UnlearnError: A value is neither 0 nor 1.
    """
    for name, tensor in tensors.items():
        if not torch.isin(tensor, torch.tensor([0, 1], dtype=tensor.dtype)).all():
            raise UnlearnError(f"This isn't a mask: {name!r} holds values other than 0 and 1.")
    return SparseMask({name: tensor.bool() for name, tensor in tensors.items()})


def conv_weights(net: nn.Module) -> dict[str, Tensor]:
    """The weights of all convolutions, by name: what may be pruned.

    Raises:
        UnlearnError: There are none.
    """
    weights: dict[str, Tensor] = {
        f"{name}.weight": m.weight for name, m in net.named_modules() if isinstance(m, nn.Conv2d)
    }
    if not weights:
        raise UnlearnError("This model has no convolution, so there is nothing to make sparse.")
    return weights


def mask_of_zeros(net: nn.Module) -> SparseMask:
    """The mask of a network that is known to be sparse: weights of convolutions that are exactly zero are gone.

    A model file carries no mask of its own: its card says that it is sparse (`facts["sparsity"]`), and its zeros say where.
    A weight that is kept and yet exactly zero would be lost, but no weight that is trained stays at exactly zero; and the
    rows of a channel that a plan silenced are zero, and are to stay so. In return the mask always fits the file, also
    after channels were cut out. Zeros of a model whose card doesn't say that it is sparse mean nothing.
    """
    return SparseMask({name: w.detach() != 0 for name, w in conv_weights(net).items()})


def mask_in(net: nn.Module, facts: Mapping[str, Any]) -> SparseMask | None:
    """The mask of a model, where the facts on its card say that it is sparse."""
    return mask_of_zeros(net) if facts.get("sparsity") else None


def overlap(one: SparseMask, two: SparseMask) -> dict[str, float]:
    """How much two masks share: weights kept by both over weights kept by either (`iou`), in [0, 1].

    `chance` is what two independent random masks of the same sparsities would be expected to share.

    Raises:
        UnlearnError: The masks are of different models.
    """
    if {n: k.shape for n, k in one.keep.items()} != {n: k.shape for n, k in two.keep.items()}:
        raise UnlearnError("These two masks are of different models, so they have no overlap to measure.")
    a, b = (torch.cat([m.keep[name].flatten().cpu() for name in one.keep]) for m in (one, two))
    either, p, q = int((a | b).sum()), float(a.double().mean()), float(b.double().mean())
    return {
        "iou": int((a & b).sum()) / either if either else 1.0,
        "chance": p * q / (p + q - p * q) if p + q else 1.0,
    }


def count_to_keep(total: int, sparsity: float) -> int:
    """How many of the weights stay: at least one.

    Raises:
        UnlearnError: The sparsity isn't in [0, 1).
    """
    if not 0 <= sparsity < 1:
        raise UnlearnError(f"A sparsity of {sparsity:g} isn't possible; choose one from 0 to below 1.")
    return max(1, round(total * (1 - sparsity)))


def keep_highest(scores: Mapping[str, Tensor], count: int) -> SparseMask:
    """The mask that keeps exactly `count` weights, the highest scores of all layers together; ties to the earlier one.

    Raises:
        UnlearnError: A score isn't a number.
    """
    flat = torch.cat([s.detach().flatten().cpu() for s in scores.values()])
    if torch.isnan(flat).any():
        raise UnlearnError("A weight's score is no number; the model's weights aren't finite.")
    # Selecting is linear in the number of weights, where sorting tens of millions of them is not.
    threshold = flat.kthvalue(len(flat) - count + 1).values
    keep = flat > threshold
    tied = (flat == threshold).nonzero()[:, 0]
    keep[tied[: count - int(keep.sum())]] = True
    parts = keep.split([s.numel() for s in scores.values()])
    return SparseMask({n: k.reshape(s.shape) for (n, s), k in zip(scores.items(), parts, strict=True)})
