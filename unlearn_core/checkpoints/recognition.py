"""Which net a file of tensors belongs to, and the tensors into that net."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unlearn_core.checkpoints import parametrizations
from unlearn_core.checkpoints.renames import respelled
from unlearn_core.checkpoints.values import shown
from unlearn_core.errors import UnlearnError
from unlearn_core.models.registry import ARCHITECTURES, build_shell, find_architecture
from unlearn_core.models.specs import ModelSpec

Shapes = Mapping[str, tuple[int, ...]]

COUNTERS = "num_batches_tracked"
_LEAVES = ("weight", "bias", "running_mean", "running_var")
# Beside a model's layers in one dictionary, and no part of it: a loss with weights of its own, statistics of the input.
_NO_LAYER = (
    "criterion",
    "loss",
    "loss_fn",
    "metric",
    "metrics",
    "normalize",
    "normalizer",
    "normalization",
    "mean",
    "std",
)


@dataclass(frozen=True)
class Differences:
    """Where tensors and a net disagree.

    Attributes:
        missing: Names that the net has and the file hasn't.
        unexpected: Names that the file has and the net hasn't.
        reshaped: (name, shape in the file, shape in the net).
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.missing or self.unexpected or self.reshaped)


@dataclass(frozen=True)
class Pairing:
    """Which tensor of a file belongs to which of a net.

    Attributes:
        names: The file's name by the net's.
        absent: Biases of convolutions that the file hasn't: zeros.
        beside: The file's names that the net has no use for.
        ordered: Whether the layers were paired by their order and shapes, because their names say nothing.
    """

    names: Mapping[str, str]
    absent: tuple[str, ...]
    beside: tuple[str, ...]
    ordered: bool

    def rank(self) -> tuple[bool, int, int, int]:
        """Sorts the surest pairing first."""
        renamed = sum(ours != theirs for ours, theirs in self.names.items())
        return self.ordered, len(self.beside), len(self.absent), renamed


@dataclass(frozen=True)
class Fit:
    """A net that some tensors fit.

    Attributes:
        spec: The net.
        pairing: Which tensor goes where.
    """

    spec: ModelSpec
    pairing: Pairing


def recognise(tensors: Mapping[str, Any]) -> ModelSpec:
    """The one spec whose net has these names and shapes.

    Raises:
        UnlearnError: None or several fit; the message says what was seen and names the closest.
    """
    return best_fit(tensors).spec


def best_fit(tensors: Mapping[str, Any]) -> Fit:
    """The one net that these tensors fit.

    Raises:
        UnlearnError: None or several fit; the message says what was seen and names the closest.
    """
    fits = fitting(tensors)
    if len(fits) == 1:
        return fits[0]
    if fits:
        names = " and ".join(fit.spec.arch for fit in fits)
        raise UnlearnError(
            f"The weights fit {names} alike (they differ in strides only); say which it is: choose the architecture."
        )
    raise UnlearnError(_unknown(tensors))


def fit_to(arch: str, tensors: Mapping[str, Any], source_name: str) -> Fit:
    """How these tensors fit one architecture, with the channels, width and outputs of the file.

    Raises:
        UnlearnError: They don't.
    """
    find_architecture(arch)
    shapes = _shapes(tensors)
    fit = _fit(arch, shapes)
    if fit is not None:
        return fit
    spec = _closest_spec(arch, shapes)
    found = differences(build_shell(spec), tensors)
    raise UnlearnError(f"The weights of {source_name} do not fit this net: {_counted(found)}.")


def matching(tensors: Mapping[str, Any]) -> tuple[ModelSpec, ...]:
    """Every spec whose net has exactly these shapes, whatever its layers are called."""
    return tuple(fit.spec for fit in fitting(tensors))


def fitting(tensors: Mapping[str, Any], *, ordered: bool = True) -> tuple[Fit, ...]:
    """Every net that the tensors fit, of those that fit equally well; by order and sizes only where `ordered` lets it."""
    shapes = _shapes(tensors)
    if sum(len(shape) == 4 for shape in shapes.values()) == 0:
        return ()
    fits = [fit for arch in ARCHITECTURES if (fit := _fit(arch, shapes, ordered=ordered)) is not None]
    best = min((fit.pairing.rank() for fit in fits), default=None)
    alike = [fit for fit in fits if fit.pairing.rank() == best]
    # Two families with the very same layers (VGG with one linear layer) are one net under two names.
    families = [ARCHITECTURES[fit.spec.arch].family for fit in alike]
    return tuple(fit for fit, family in zip(alike, families, strict=True) if family == families[0])


def names_in_use(tensors: Mapping[str, Any], ordered: bool) -> frozenset[str] | None:
    """The names of the tensors that a net uses, counters and pieces of weights among them; None where no net fits."""
    fits = fitting(tensors, ordered=ordered)
    if not fits:
        return None
    wholes = parametrizations.whole_names(tensors)
    beside = {piece for name in fits[0].pairing.beside for piece in wholes[name]}
    return frozenset(name for name in tensors if name not in beside)


def differences(net: nn.Module, tensors: Mapping[str, Any]) -> Differences:
    """Where the tensors and the net's state dict disagree; batch counters may be missing."""
    theirs, found = _shapes(net.state_dict()), _shapes(tensors)
    pairing = _paired(theirs, found)
    if pairing is not None and _equal(theirs, found, pairing):
        return Differences((), (), ())
    return _compared(theirs, _respelled_for(theirs, found))


def require_fit(net: nn.Module, tensors: Mapping[str, Any], source_name: str) -> None:
    """Checks names and shapes; the net may lie on the meta device.

    Raises:
        UnlearnError: A name is missing or unexpected, or a shape differs.
    """
    found = differences(net, tensors)
    if found:
        raise UnlearnError(f"The weights of {source_name} do not fit this net: {_counted(found)}.")


def load_into(net: nn.Module, tensors: Mapping[str, Tensor], source_name: str) -> None:
    """Copies the tensors into the net, in place; all of them fit, or none is copied.

    Raises:
        UnlearnError: A name is missing or unexpected, or a shape or kind differs.
    """
    require_fit(net, tensors, source_name)
    own = net.state_dict()
    pairing = _paired(_shapes(own), _shapes(tensors))
    assert pairing is not None  # what fits is paired
    for name, theirs in pairing.names.items():
        if own[name].is_floating_point() and not tensors[theirs].is_floating_point():
            raise UnlearnError(
                f"The weights of {source_name} do not fit this net: {theirs} has the kind {tensors[theirs].dtype}."
            )
    with torch.no_grad():
        for name, theirs in pairing.names.items():
            own[name].copy_(tensors[theirs])
        for name in pairing.absent:
            own[name].zero_()
        for name, count in _counters(own, tensors, pairing).items():
            own[name].fill_(count)


def _counters(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], pairing: Pairing) -> dict[str, int]:
    """How many batches each batch norm has seen; 0 where the file doesn't say or says what no norm can have."""
    counts = {}
    for name in (n for n in own if n.endswith(COUNTERS)):
        layer = pairing.names[name.replace(COUNTERS, "weight")].removesuffix("weight")
        count = tensors.get(layer + COUNTERS, torch.tensor(0))
        sound = count.numel() == 1 and not count.is_floating_point() and 0 <= count.item() < 2**53
        counts[name] = int(count) if sound else 0
    return counts


def _fit(arch: str, shapes: Shapes, *, ordered: bool = True) -> Fit | None:
    reference = _reference(arch)
    pairing = _paired(reference, shapes, ordered=ordered)
    spec = _spec_from(arch, reference, shapes, pairing) if pairing else None
    if pairing is None or spec is None or not _equal(_net_shapes(spec), shapes, pairing):
        return None
    return Fit(spec, pairing)


def _equal(net: Shapes, file: Shapes, pairing: Pairing) -> bool:
    return all(file[theirs] == net[ours] for ours, theirs in pairing.names.items())


def _paired(net: Shapes, file: Shapes, *, ordered: bool = True) -> Pairing | None:
    """Which tensor belongs where: by name, or by order where names say nothing; sizes are still to be compared."""
    if len(file) < len(net) * 2 // 3 or _convolutions(file) < _convolutions(net):
        return None
    return _paired_by_name(net, file) or (_paired_by_order(net, file) if ordered else None)


def _convolutions(shapes: Shapes) -> int:
    return sum(len(shape) == 4 for shape in shapes.values())


def _paired_by_name(net: Shapes, file: Shapes) -> Pairing | None:
    theirs = {spelled: name for name, spelled in _spelling(tuple(file)).items()}
    names = {ours: theirs[spelled] for ours, spelled in _spelling(tuple(net)).items() if spelled in theirs}
    absent = tuple(name for name in net if name not in names)
    used = set(names.values())
    beside = tuple(name for name in file if name not in used)
    if not all(_may_be_absent(name, net) for name in absent) or not _harmless(beside, used, file):
        return None
    return Pairing(names, absent, beside, ordered=False)


@functools.lru_cache(maxsize=256)
def _spelling(names: tuple[str, ...]) -> Mapping[str, str]:
    return respelled(names)


def _may_be_absent(name: str, net: Shapes) -> bool:
    """A convolution's bias: one without it computes as one with zeros."""
    weight = net.get(f"{name.removesuffix('bias')}weight", ())
    return name.endswith(".bias") and len(weight) == 4


def _harmless(beside: Iterable[str], used: set[str], file: Shapes) -> bool:
    """Whether tensors that the net has no use for belong to no layer of it."""
    layers = {name.split(".")[0] for name in used}
    return all(
        (not file[name] and "." not in name) or _beside_layers(name) or name.split(".")[0] not in layers
        for name in beside
    )


def _beside_layers(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] in _NO_LAYER or name.rpartition(".")[2] in (
        "mean",
        "std",
        "n_averaged",
    )


def _paired_by_order(net: Shapes, file: Shapes) -> Pairing | None:
    ours, theirs = _layers(net), _layers({n: s for n, s in file.items() if not _beside_layers(n)})
    if len(ours) != len(theirs):
        return None
    names: dict[str, str] = {}
    for (our, leaves), (their, others) in zip(ours.items(), theirs.items(), strict=True):
        missing = leaves.keys() - others.keys()
        same = others.keys() <= leaves.keys() and len(leaves["weight"]) == len(others.get("weight", ()))
        if not same or not all(_may_be_absent(f"{our}.{leaf}", net) for leaf in missing):
            return None
        names |= {f"{our}.{leaf}": f"{their}.{leaf}" for leaf in others}
    used = set(names.values())
    return Pairing(
        names, tuple(n for n in net if n not in names), tuple(n for n in file if n not in used), ordered=True
    )


def _layers(shapes: Shapes) -> dict[str, dict[str, tuple[int, ...]]]:
    """The tensors of each layer with weights, in order."""
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        layer, _, leaf = name.rpartition(".")
        if leaf in _LEAVES:
            layers.setdefault(layer, {})[leaf] = shape
    return {layer: leaves for layer, leaves in layers.items() if "weight" in leaves}


def _spec_from(arch: str, reference: Shapes, found: Shapes, pairing: Pairing) -> ModelSpec | None:
    """The spec read from the shapes of the first convolution and the last linear layer."""
    stem, head = (found[pairing.names[name]] for name in _ends(reference))
    if len(stem) != 4 or len(head) != 2:
        return None
    narrowest = ARCHITECTURES[arch].narrowest
    width = stem[0] / narrowest if narrowest else 1.0
    if stem[1] not in (1, 3) or not 1 <= head[0] <= 100_000 or not 0 < width <= 16:
        return None
    return ModelSpec(arch, head[0], stem[1], width)


def _ends(reference: Shapes) -> tuple[str, str]:
    """The names of the first convolution's and the last linear layer's weights."""
    stem = next(name for name, shape in reference.items() if len(shape) == 4)
    return stem, [name for name, shape in reference.items() if len(shape) == 2][-1]


def _closest_spec(arch: str, shapes: Shapes) -> ModelSpec:
    """The architecture with the outputs and channels of a file that doesn't fit it, as far as they can be told."""
    firsts = [s for s in shapes.values() if len(s) == 4]
    lasts = [s for s in shapes.values() if len(s) == 2]
    channels = firsts[0][1] if firsts and firsts[0][1] in (1, 3) else 3
    classes = lasts[-1][0] if lasts and 1 <= lasts[-1][0] <= 100_000 else 10
    narrowest = ARCHITECTURES[arch].narrowest
    width = firsts[0][0] / narrowest if narrowest and firsts and 0 < firsts[0][0] <= 16 * narrowest else 1.0
    return ModelSpec(arch, classes, channels, width)


@functools.cache
def _reference(arch: str) -> Shapes:
    return _net_shapes(ModelSpec(arch, 10))


@functools.lru_cache(maxsize=64)
def _net_shapes(spec: ModelSpec) -> Shapes:
    """Names and shapes of a net that is built without memory or random numbers."""
    return _shapes(build_shell(spec).state_dict())


def _shapes(tensors: Mapping[str, Any]) -> Shapes:
    # Files written before torch 0.4.1 have no batch counters; nothing here needs them.
    whole = parametrizations.shapes(tensors)
    return {k: shape for k, shape in whole.items() if not k.endswith(COUNTERS)}


def _respelled_for(net: Shapes, file: Shapes) -> Shapes:
    """The file's shapes under the net's names, where they have one."""
    ours = {spelled: name for name, spelled in _spelling(tuple(net)).items()}
    theirs = _spelling(tuple(file))
    if len(ours.keys() & theirs.values()) <= len(net.keys() & file.keys()):
        return file
    return {ours.get(theirs[name], name): shape for name, shape in file.items()}


def _compared(net: Shapes, file: Shapes) -> Differences:
    return Differences(
        missing=tuple(n for n in net if n not in file),
        unexpected=tuple(n for n in file if n not in net),
        reshaped=tuple((n, file[n], net[n]) for n in net if n in file and file[n] != net[n]),
    )


def _counted(found: Differences) -> str:
    """The differences as one line: how many of each kind, with the first few."""
    changed = [
        f"{shown(name)[1:-1]} {_shape(file)} in place of {_shape(net)}" for name, file, net in found.reshaped
    ]
    kinds = {
        "missing": found.missing,
        "unexpected": tuple(shown(name)[1:-1] for name in found.unexpected),
        "of another shape": changed,
    }
    return "; ".join(f"{len(v)} {kind} ({_first(v)})" for kind, v in kinds.items() if v)


def _first(names: Iterable[str], count: int = 3) -> str:
    names = list(names)
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(d) for d in shape) or "scalar"


def _unknown(tensors: Mapping[str, Any]) -> str:
    shapes = _shapes(tensors)
    closest = sorted(ARCHITECTURES, key=lambda arch: -_likeness(arch, shapes))[:3]
    seen = f"{len(tensors)} tensors, {_convolutions(shapes)} of them convolutions ({_first(shapes)})"
    spec = _closest_spec(closest[0], shapes)
    net = _net_shapes(spec)
    return (
        f"The weights belong to no net that is known: they are {seen}. Closest are {', '.join(closest)} by their layers; "
        f"against {closest[0]} with {spec.num_classes} classes: {_counted(_compared(net, _respelled_for(net, shapes)))}. "
        "Convert the weights to one of the known nets (docs/models-and-data.md)."
    )


def _likeness(arch: str, shapes: Shapes) -> float:
    """Share of layers that both have alike, whatever they are called, in [0, 1]: kinds and kernels, not widths."""
    ours, theirs = (_kinds(s) for s in (_reference(arch), shapes))
    alike = sum(min(count, theirs.get(kind, 0)) for kind, count in ours.items())
    return alike / max(1, sum(ours.values()), sum(theirs.values()))


def _kinds(shapes: Shapes) -> dict[tuple[Any, ...], int]:
    kinds: dict[tuple[Any, ...], int] = {}
    for leaves in _layers(shapes).values():
        weight = leaves["weight"]
        kind = (len(weight), weight[2:], "running_mean" in leaves)
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds
