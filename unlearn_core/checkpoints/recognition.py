"""Which net a file of tensors belongs to, and the tensors into that net."""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from unlearn_core.errors import UnlearnError
from unlearn_core.models.registry import ARCHITECTURES, build_shell
from unlearn_core.models.specs import ModelSpec

Shapes = Mapping[str, tuple[int, ...]]

# Names that other repositories give to nets of ours: (pattern, replacement) pairs for each.
RENAMES: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    ((r"^fc\.", "linear."), (r"\.downsample\.", ".shortcut.")),  # chenyaofo/pytorch-cifar-models
    ((r"^linear\.", "fc."), (r"\.shortcut\.", ".downsample.")),  # kuangliu/pytorch-cifar, resnet18 to 50
    ((r"(denselayer\d+\.(?:norm|conv))\.(\d\.)", r"\1\2"),),  # torchvision's published densenet files
    ((r"^classifier\.0\.", "classifier."),),  # one linear layer in a Sequential
    ((r"^fc\.", "classifier."),),
    ((r"^linear\.", "classifier."),),
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


def recognise(tensors: Mapping[str, Tensor]) -> ModelSpec:
    """The one spec whose net has these names and shapes.

    Raises:
        UnlearnError: None or several fit; the message says what was seen and names the closest.
    """
    specs = matching(tensors)
    if len(specs) == 1:
        return specs[0]
    if specs:
        names = " and ".join(spec.arch for spec in specs)
        raise UnlearnError(f"The weights fit {names} alike (they differ in strides only); say which it is.")
    raise UnlearnError(_unknown(tensors))


def matching(tensors: Mapping[str, Tensor]) -> tuple[ModelSpec, ...]:
    """Every spec whose net has exactly these shapes, under the file's names or else under translated ones."""
    for rules in RENAMES:
        found = _shapes(_under(rules, tensors))
        specs = tuple(s for arch in ARCHITECTURES if (s := _fitting_spec(arch, found)) is not None)
        if specs:
            return specs
    return ()


def differences(net: nn.Module, tensors: Mapping[str, Tensor]) -> Differences:
    """Where the tensors and the net's state dict disagree; batch counters may be missing."""
    theirs = _shapes(net.state_dict())
    return _compared(theirs, _shapes(_renamed(tensors, theirs)))


def require_fit(net: nn.Module, tensors: Mapping[str, Tensor], source_name: str) -> None:
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
    fitting = _renamed(tensors, _shapes(own))
    for name, tensor in fitting.items():
        if name in own and own[name].is_floating_point() and not tensor.is_floating_point():
            raise UnlearnError(
                f"The weights of {source_name} do not fit this net: {name} has the kind {tensor.dtype}."
            )
    # A plain dictionary has no version record, so torch lets batch counters of old files be missing.
    net.load_state_dict(dict(fitting), strict=True)


def _fitting_spec(arch: str, found: Shapes) -> ModelSpec | None:
    reference = _reference(arch)
    if set(found) != set(reference):
        return None
    spec = _spec_from(arch, reference, found)
    if spec is None or _compared(_net_shapes(spec), found):
        return None
    return spec


def _spec_from(arch: str, reference: Shapes, found: Shapes) -> ModelSpec | None:
    """The spec read from the shapes of the first convolution and the last linear layer."""
    stem = next(name for name, shape in reference.items() if len(shape) == 4)
    head = [name for name, shape in reference.items() if len(shape) == 2][-1]
    if len(found[stem]) != 4 or len(found[head]) != 2:
        return None
    channels, classes = found[stem][1], found[head][0]
    narrowest = ARCHITECTURES[arch].narrowest
    width = found[stem][0] / narrowest if narrowest else 1.0
    if channels not in (1, 3) or not 1 <= classes <= 100_000 or not 0 < width <= 16:
        return None
    return ModelSpec(arch, classes, channels, width)


@functools.cache
def _reference(arch: str) -> Shapes:
    return _net_shapes(ModelSpec(arch, 10))


def _net_shapes(spec: ModelSpec) -> Shapes:
    """Names and shapes of a net that is built without memory or random numbers."""
    return _shapes(build_shell(spec).state_dict())


def _shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    # Files written before torch 0.4.1 have no batch counters; nothing here needs them.
    return {k: tuple(t.shape) for k, t in tensors.items() if not k.endswith("num_batches_tracked")}


def _renamed(tensors: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """The tensors under the names that agree most with the net's; their own when no other agrees more."""
    wanted = set(names)
    tries = [_under(rules, tensors) for rules in RENAMES]
    return max(tries, key=lambda renamed: len(wanted & set(renamed)))


def _under(rules: tuple[tuple[str, str], ...], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    # Two names that fall together would lose a tensor: then this table isn't meant.
    return renamed if len(renamed) == len(tensors) else dict(tensors)


def _compared(net: Shapes, file: Shapes) -> Differences:
    return Differences(
        missing=tuple(n for n in net if n not in file),
        unexpected=tuple(n for n in file if n not in net),
        reshaped=tuple((n, file[n], net[n]) for n in net if n in file and file[n] != net[n]),
    )


def _counted(found: Differences) -> str:
    """The differences as one line: how many of each kind, with the first few."""
    changed = [f"{name} {_shape(file)} in place of {_shape(net)}" for name, file, net in found.reshaped]
    kinds = {
        "missing": found.missing,
        "unexpected": found.unexpected,
        "of another shape": changed,
    }
    return "; ".join(f"{len(v)} {kind} ({_first(v)})" for kind, v in kinds.items() if v)


def _first(names: Iterable[str], count: int = 3) -> str:
    names = list(names)
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(d) for d in shape) or "scalar"


def _unknown(tensors: Mapping[str, Tensor]) -> str:
    closest = sorted(ARCHITECTURES, key=lambda arch: -_agreement(arch, tensors))[:3]
    convolutions = sum(t.dim() == 4 for t in tensors.values())
    seen = f"{len(tensors)} tensors, {convolutions} of them convolutions ({_first(tensors)})"
    best = _reference(closest[0])
    found = _compared(best, _shapes(_renamed(tensors, best)))
    return (
        f"The weights belong to no net that is known: they are {seen}. Closest are {', '.join(closest)}; "
        f"against {closest[0]} with 10 classes: {_counted(found)}. "
        "Choose the architecture, or convert the weights."
    )


def _agreement(arch: str, tensors: Mapping[str, Tensor]) -> float:
    """Share of equal names and shapes among all names of both, in [0, 1]."""
    reference = _reference(arch)
    found = _shapes(_renamed(tensors, reference))
    equal = sum(1 + (found[name] == reference[name]) for name in set(found) & set(reference))
    return equal / (2 * len(set(found) | set(reference)))
