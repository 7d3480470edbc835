"""Carrying out a pruning plan: silencing channels in place, and cutting them out.

Torch-Pruning's dependency graph says which weights belong to a channel; its pruners and its pickles are not used.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch_pruning
from jaxtyping import Float
from torch import Tensor, nn

from unlearn_core.channels.activations import batch_norms
from unlearn_core.channels.pruning import RESIDUAL, ChannelGroup, PlannedGroup, PruningPlan
from unlearn_core.errors import UnlearnError
from unlearn_core.models.inference import evaluating


@dataclass(frozen=True)
class Mask:
    """Rows of parameters that a plan silences, by parameter name: indices along the first dimension."""

    rows: Mapping[str, tuple[int, ...]]

    @torch.no_grad()
    def enforce(self, net: nn.Module) -> None:
        """Sets the masked rows to zero, in place; to be called after every step that moves weights."""
        parameters = dict(net.named_parameters())
        for name, rows in self.rows.items():
            parameters[name][list(rows)] = 0.0


def channel_groups(
    net: nn.Module, example: Float[Tensor, "n c h w"], residual: str = "mask"
) -> tuple[ChannelGroup, ...]:
    """The groups of channels of a network, in the order of the forward pass.

    With `residual="mask"` a convolution whose output enters a sum stands alone and is silenced only: the sum's other
    parts carry the channel on. With `residual="group"` all convolutions of the sum lose the same channels, which can
    then be cut out; not where shortcuts pad with zeros (option A), because a channel has another number behind them.
    Convolutions whose channels can't be silenced by themselves (DenseNet's concatenated ones) are left out.

    Args:
        net: The bare network; its gradients are not touched.
        example: A normalised batch that the network accepts.
        residual: `mask` or `group`.

    Raises:
        UnlearnError: An unknown treatment of sums, or `group` on a network with zero-padding shortcuts.
    """
    if residual not in RESIDUAL:
        raise UnlearnError(
            f"Unknown treatment {residual!r} of residual sums; choose one of: {', '.join(RESIDUAL)}."
        )
    if residual == "group" and not _residual_removable(net):
        raise UnlearnError(
            "This network's shortcuts pad with zeros (option A), so channels of its residual sums can't be cut out "
            "together; choose residual = mask."
        )
    norms = batch_norms(net, example)
    sides = _sides(net, example)
    modules = dict(net.named_modules())
    groups: list[ChannelGroup] = []
    grouped: set[str] = set()
    for coupled, clean in _coupled(net, example, norms, list(sides)):
        roots = [name for name in coupled if modules[name].groups == 1]  # depthwise ones follow their input
        inner = len(roots) == 1
        if not clean or grouped & set(coupled):
            continue
        if inner or residual == "group":
            groups.append(_group(tuple(coupled), modules, sides, removable=True, inner=inner))
        else:
            groups.extend(_group((name,), modules, sides, removable=False, inner=False) for name in roots)
        grouped |= set(coupled)
    order = list(sides)
    return tuple(sorted(groups, key=lambda g: order.index(g.name)))


def mask_of(
    net: nn.Module, plan: PruningPlan, example: Float[Tensor, "n c h w"], *, only_unremovable: bool = False
) -> Mask:
    """The rows that silence a plan's channels: the convolution's and its batch norm's scale and shift.

    Without the batch norm a silenced convolution still emits a constant.

    Args:
        net: The unpruned network.
        plan: The plan.
        example: A normalised batch that the network accepts.
        only_unremovable: Leave out the groups that are cut out instead.
    """
    norms = batch_norms(net, example)
    parameters = dict(net.named_parameters())
    rows: dict[str, tuple[int, ...]] = {}
    for group in plan.groups:
        if only_unremovable and group.removable:
            continue
        for layer in group.layers:
            names = [
                f"{module}.{kind}"
                for module in (layer, norms.get(layer, layer))
                for kind in ("weight", "bias")
            ]
            for name in names:
                if name in parameters:
                    rows[name] = tuple(sorted({*rows.get(name, ()), *group.channels}))
    return Mask(rows)


@contextmanager
def silenced(net: nn.Module, plan: PruningPlan, example: Float[Tensor, "n c h w"]) -> Iterator[nn.Module]:
    """The network with a plan's channels silent inside, and as it was after, also after an exception."""
    mask = mask_of(net, plan, example)
    parameters = dict(net.named_parameters())
    originals = {name: parameters[name].detach().clone() for name in mask.rows}
    try:
        mask.enforce(net)
        yield net
    finally:
        with torch.no_grad():
            for name, values in originals.items():
                parameters[name].copy_(values)


def remove(
    net: nn.Module, plan: PruningPlan, example: Float[Tensor, "n c h w"], *, check: bool = True
) -> nn.Module:
    """A copy of the network with a plan's removable channels cut out and the others silenced.

    Args:
        net: The unpruned network; unchanged.
        plan: Indices of the unpruned network.
        example: A normalised batch that the network accepts.
        check: Compare the result with the silenced network on the example.

    Raises:
        UnlearnError: The plan doesn't fit the network, or the result computes something else than the silenced network.
    """
    _require_fit(net, plan)
    masked = copy.deepcopy(net)
    mask_of(net, plan, example).enforce(masked)
    pruned = copy.deepcopy(masked)
    modules = dict(pruned.named_modules())
    for group in plan.groups:
        if group.removable:
            _cut(pruned, modules[group.name], group, example)
    if check:
        _require_equal(masked, pruned, example)
    return pruned


def _cut(net: nn.Module, layer: nn.Module, group: PlannedGroup, example: Tensor) -> None:
    # A fresh graph for each group: groups never share channels, so indices of the unpruned network stay right.
    with evaluating(net), torch.enable_grad():
        graph = torch_pruning.DependencyGraph().build_dependency(net, example_inputs=example)
    cut = graph.get_pruning_group(layer, torch_pruning.prune_conv_out_channels, idxs=list(group.channels))
    if not graph.check_pruning_group(cut):
        raise UnlearnError(
            f"Pruning {len(group.channels)} of {group.size} channels of {group.name!r} would empty a layer."
        )
    cut.prune()


def _coupled(
    net: nn.Module, example: Tensor, norms: Mapping[str, str], order: Sequence[str]
) -> Iterator[tuple[list[str], bool]]:
    """For each convolution, those that lose a channel with it, and whether only their own batch norms do too."""
    names = {module: name for name, module in net.named_modules()}
    modules = dict(net.named_modules())
    with evaluating(net), torch.enable_grad():
        graph = torch_pruning.DependencyGraph().build_dependency(net, example_inputs=example)
    seen: set[str] = set()
    for name in order:
        if name in seen or modules[name].groups != 1:
            continue
        members = graph.get_pruning_group(modules[name], torch_pruning.prune_conv_out_channels, idxs=[0])
        touched = {
            names[dep.target.module]
            for dep, _ in members
            if dep.target.module in names and _loses_output(dep)
        }
        coupled = [n for n in order if n in touched]
        own_norms = {norms[n] for n in coupled if n in norms}
        all_norms = {n for n in touched if isinstance(modules[n], nn.BatchNorm2d)}
        seen |= set(coupled)
        yield coupled, all_norms == own_norms


def _loses_output(dep: torch_pruning.Dependency) -> bool:
    return dep.handler.__name__ in {"prune_out_channels", "prune_depthwise_conv_out_channels"} or isinstance(
        dep.target.module, nn.BatchNorm2d
    )


def _group(
    layers: tuple[str, ...],
    modules: Mapping[str, nn.Module],
    sides: Mapping[str, int],
    *,
    removable: bool,
    inner: bool,
) -> ChannelGroup:
    size = modules[layers[0]].out_channels
    return ChannelGroup(layers[0], layers, int(size), removable, inner, sides[layers[-1]])  # type: ignore[arg-type]


def _sides(net: nn.Module, example: Tensor) -> dict[str, int]:
    """The height of every convolution's output in pixels, in the order of the forward pass."""
    sides: dict[str, int] = {}
    handles = [
        # A hook that returns something replaces the output by it: update returns None.
        module.register_forward_hook(lambda _m, _i, out, name=name: sides.update({name: out.shape[2]}))
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        with evaluating(net), torch.inference_mode():
            net(example)
    finally:
        for handle in handles:
            handle.remove()
    return sides


def _residual_removable(net: nn.Module) -> bool:
    return bool(getattr(net, "residual_prunable", True))


def _require_fit(net: nn.Module, plan: PruningPlan) -> None:
    modules = dict(net.named_modules())
    for group in plan.groups:
        for layer in group.layers:
            if getattr(modules.get(layer), "out_channels", None) != group.size:
                raise UnlearnError(
                    f"This plan is for another model: it has no layer {layer!r} with {group.size} channels."
                )


def _require_equal(masked: nn.Module, pruned: nn.Module, example: Tensor) -> None:
    with evaluating(masked), evaluating(pruned), torch.inference_mode():
        expected, got = masked(example), pruned(example)
    if not torch.allclose(expected, got, rtol=1e-3, atol=1e-3 * float(expected.abs().max())):
        raise UnlearnError(
            f"Cutting the channels out changed the model's outputs by {float((expected - got).abs().max()):.3g}; "
            "this architecture can't be cut that way. Choose where = inner or keep the channels silenced."
        )
