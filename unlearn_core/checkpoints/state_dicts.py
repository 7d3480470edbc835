"""Finds the model's tensors in whatever a training script saved around them.

Keys of wrappers are as many as there are scripts, so a part is taken for what it holds: it is a model where some net fits it.
Names say no more than what a part surely isn't (an optimiser's moments), and which of two models is an average.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch import Tensor

from unlearn_core.checkpoints.values import Described, shown
from unlearn_core.errors import UnlearnError

Tensors = dict[str, Any]
"""Tensors, or what stands for them before their numbers are read, by name."""
Fits = Callable[[Tensors, bool], Collection[str] | None]
"""The names that some net uses, of tensors; None where no net fits them. The second argument says whether order and sizes
will do where names say nothing."""

AVERAGED = re.compile(r"(?<![a-z])(ema|swa|avg)(?![a-z])|averag|shadow|polyak|modelema|emamodel")
INITIAL = re.compile(r"(?<![a-z])(init|initial|initialization|initalization|rewind)(?![a-z])")
NO_MODEL = re.compile(
    r"optim|momentum|(?<![a-z])grad|exp_avg|sched|scaler|fisher|hessian|(?<![a-z])masks?(?![a-z])"
)
# What DataParallel, torch.compile, FSDP and Lightning's strategies put into names, at any depth.
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
# What is taken off before every name where no net says what else to take off.
PREFIXES = tuple(f"{name}." for name in (*WRAPPERS, "model", "net", "network"))
_DEEPEST = 8
_MOST_CONTAINERS = 5_000
_MOST_PREFIXES = 60
_MOST_MODELS = 100


@dataclass(frozen=True)
class Choice:
    """The tensors that were taken.

    Attributes:
        tensors: By name, prefixes gone.
        words: Which part they are and what was stripped; "" when they are the whole file.
        candidates: All the parts that could have been taken.
        beside: What lies beside the model in the same dictionary, by name.
    """

    tensors: Tensors
    words: str
    candidates: tuple[str, ...]
    beside: Tensors


@dataclass(frozen=True)
class Part:
    """A model in a file.

    Attributes:
        tensors: By name, prefixes gone.
        stripped: What was taken off the names, in words.
        beside: The other tensors of the same dictionary.
    """

    tensors: Tensors
    stripped: str
    beside: Tensors


def choose(loaded: Any, which: str = "", fits: Fits = lambda tensors, ordered: None) -> Choice:
    """The model's tensors in what a file holds: the plain model rather than an average of it or its start.

    Args:
        loaded: What the file holds.
        which: The part to take; "" for the plain model.
        fits: Which of some tensors a net uses.

    Raises:
        UnlearnError: There are none, there are several plain models, or `which` is none of them.
    """
    parts = _parts(loaded, fits)
    if not parts:
        raise UnlearnError(f"no dictionary of tensors was found in it; it holds {_described(loaded)}.")
    name = which or _preferred(parts)
    if name not in parts:
        raise UnlearnError(f"it has no part {shown(which)}; choose one of: {_listed(parts)}.")
    part = parts[name]
    return Choice(part.tensors, _words(name, part, tuple(parts)), tuple(parts), part.beside)


def _parts(loaded: Any, fits: Fits) -> dict[str, Part]:
    """The models in a file by the keys that lead to them; the whole itself is "all"."""
    mappings = {path: ts for path, ts in _mappings(loaded) if not NO_MODEL.search(path.lower())}
    found = ((path, part) for key, ts in mappings.items() for path, part in _models_in(key, ts, fits))
    models = dict(islice(found, _MOST_MODELS))
    if not models and len(mappings) > 1:
        models = dict(_models_in("", _joined(mappings), fits))
    if not models:
        largest = max(map(len, mappings.values()), default=0)
        large = ((path, _stripped(ts)) for path, ts in mappings.items() if 2 * len(ts) >= largest)
        models = dict(islice(large, _MOST_MODELS))
    return {path or "all": part for path, part in models.items() if not _inside_another(path, models)}


def _mappings(loaded: Any) -> Iterator[tuple[str, Tensors]]:
    """Every dictionary with tensors under names, with the keys that lead to it; each only once."""
    seen: set[int] = set()
    waiting: deque[tuple[str, Any, int]] = deque([("", loaded, 0)])
    while waiting and len(seen) < _MOST_CONTAINERS:
        path, value, depth = waiting.popleft()
        if id(value) in seen or depth > _DEEPEST:
            continue
        seen.add(id(value))
        if tensors := _tensors_of(value):
            yield path, tensors
        waiting += [(f"{path}.{k}" if path else k, v, depth + 1) for k, v in _inner(value)]


def _inner(value: Any) -> Iterator[tuple[str, Any]]:
    """The containers in a container, by the names of their places."""
    listed = enumerate(value) if isinstance(value, list | tuple) else ()
    for key, inner in value.items() if isinstance(value, Mapping) else listed:
        if isinstance(key, str | int) and isinstance(inner, Mapping | list | tuple):
            yield str(key)[:256], inner


def _tensors_of(value: Any) -> Tensors:
    if not isinstance(value, Mapping):
        return {}
    return {k: v for k, v in value.items() if isinstance(k, str) and _is_tensor(v)}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, Described) and value.storage is not None)


def _models_in(path: str, tensors: Tensors, fits: Fits) -> Iterator[tuple[str, Part]]:
    """The models that some net fits, in one dictionary: the whole, or the tensors under one or several of its prefixes."""
    plain = _unwrapped(tensors)
    originals = dict(zip(plain, tensors, strict=True))
    models, rest = _under_prefixes(plain, fits, ordered=False)
    if not models:
        models, rest = _under_prefixes(plain, fits, ordered=True)
    for prefix, model in models.items():
        place = [path, prefix.removesuffix(".")] if len(models) > 1 else [path]
        stripped = _taken_off({originals[prefix + name]: name for name in model})
        yield ".".join(p for p in place if p), Part(model, stripped, rest)


def _under_prefixes(tensors: Tensors, fits: Fits, *, ordered: bool) -> tuple[dict[str, Tensors], Tensors]:
    """The models by the prefix that they lie under, and the tensors of none."""
    models: dict[str, Tensors] = {}
    for prefix in ("", *_prefixes(tensors)):
        group = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        used = fits(group, ordered)
        if used is not None:
            models[prefix] = {name: t for name, t in group.items() if name in used}
            tensors = {n: t for n, t in tensors.items() if n not in {prefix + name for name in used}}
    return models, tensors


def _prefixes(names: Collection[str]) -> list[str]:
    """What could stand before all names of a model: shared by a good part of them; short before long."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")[:-1][:_DEEPEST]
        counts.update(".".join(parts[:depth]) + "." for depth in range(1, len(parts) + 1))
    likely = [p for p, count in counts.items() if count >= max(4, len(names) // 8)]
    return sorted(likely, key=len)[:_MOST_PREFIXES]


def _unwrapped(tensors: Tensors) -> Tensors:
    """The tensors without wrappers' names, at any depth; as they are where two names would fall together."""
    plain = {".".join(p for p in name.split(".") if p not in WRAPPERS): t for name, t in tensors.items()}
    return plain if len(plain) == len(tensors) else tensors


def _joined(mappings: Mapping[str, Tensors]) -> Tensors:
    """All dictionaries as one, each under the keys that lead to it: an encoder and a head that were saved apart."""
    return {f"{path}.{name}" if path else name: t for path, ts in mappings.items() for name, t in ts.items()}


def _taken_off(names: Mapping[str, str]) -> str:
    """What was taken off the original names to get the new ones, in words."""
    prefixes = {
        original.removesuffix(new) if original.endswith(new) else None for original, new in names.items()
    }
    if len(prefixes) == 1 and (prefix := prefixes.pop()) is not None:
        return f"prefix {shown(prefix)} taken off" if prefix else ""
    inner = [word for word in WRAPPERS if any(word in original.split(".") for original in names)]
    return (
        f"{' and '.join(repr(word + '.') for word in inner)} taken out of names"
        if inner
        else "prefixes taken off"
    )


def _stripped(tensors: Tensors) -> Part:
    """The tensors without the usual prefixes that all of them have, where no net says more."""
    removed = ""
    # AveragedModel counts its updates beside the model's own tensors.
    rest = {k: v for k, v in tensors.items() if k != "n_averaged"}
    while prefix := next((p for p in PREFIXES if rest and all(k.startswith(p) for k in rest)), ""):
        rest = {k.removeprefix(prefix): v for k, v in rest.items()}
        removed += prefix
    return Part(rest, f"prefix {shown(removed)} taken off", {}) if removed else Part(tensors, "", {})


def _inside_another(path: str, models: Mapping[str, Part]) -> bool:
    """Whether a part's tensors are all another part's too: its parameters without its buffers, or the same under two keys."""
    mine, order = models[path].tensors, list(models)
    for other in order:
        theirs = models[other].tensors
        larger = len(theirs) > len(mine) or (
            len(theirs) == len(mine) and order.index(other) < order.index(path)
        )
        if other != path and larger and all(_is_same(t, theirs.get(name)) for name, t in mine.items()):
            return True
    return False


def _is_same(one: Any, two: Any) -> bool:
    """Whether both look at the same numbers of the file."""
    if isinstance(one, Described) and isinstance(two, Described):
        return vars(one) == vars(two)
    return one is two


def _preferred(parts: Mapping[str, Part]) -> str:
    """The plain model's name, or where there is none the average's."""
    ranks = {
        name: (bool(INITIAL.search(name.lower())), bool(AVERAGED.search(name.lower()))) for name in parts
    }
    best = [name for name, rank in ranks.items() if rank == min(ranks.values())]
    if len(best) > 1:
        raise UnlearnError(
            f"it holds several models ({_listed(best)}). "
            "Say which of them to take: its part (--part NAME, or Part on the page Open a model)."
        )
    return best[0]


def _words(name: str, part: Part, parts: tuple[str, ...]) -> str:
    others = [other for other in parts if other != name]
    words = [
        "" if name == "all" else f"part {shown(name)}",
        part.stripped,
        f"the file also holds {_listed(others)}" if others else "",
    ]
    return "; ".join(w for w in words if w)


def _listed(names: Iterable[str]) -> str:
    """The first names, as a message may repeat them."""
    names = [shown(name)[1:-1] for name in names]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _described(loaded: Any) -> str:
    if isinstance(loaded, Mapping):
        keys = ", ".join(shown(str(key)) for key in list(loaded)[:8])
        return f"a dictionary with the keys {keys}" if keys else "an empty dictionary"
    return f"a {'Tensor' if isinstance(loaded, Described) else type(loaded).__name__}"
