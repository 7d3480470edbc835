"""Finds the model's tensors in whatever a training script saved around them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from unlearn_core.checkpoints.opcodes import shown
from unlearn_core.errors import UnlearnError

PLAIN = ("state_dict", "model_state_dict", "model", "net", "net_state_dict", "params", "weights", "network")
AVERAGED = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "params_ema")
# What DataParallel, torch.compile, Lightning and wrappers of one's own put before every name.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")


@dataclass(frozen=True)
class Choice:
    """The tensors that were taken.

    Attributes:
        tensors: By name, prefixes gone.
        words: Which part they are and what was stripped; "" when they are the whole file.
        candidates: All the parts that could have been taken.
    """

    tensors: dict[str, Tensor]
    words: str
    candidates: tuple[str, ...]


def choose(loaded: Any, which: str = "") -> Choice:
    """The model's tensors in what a file holds: the plain model rather than an average of it.

    Raises:
        UnlearnError: There are none, there are several plain models, or `which` is none of them.
    """
    parts = _parts(loaded)
    if not parts:
        raise UnlearnError(f"no dictionary of tensors was found in it; it holds {_described(loaded)}.")
    name = which or _preferred(parts)
    if name not in parts:
        raise UnlearnError(f"it has no part {which!r}; choose one of: {', '.join(parts)}.")
    tensors, prefix = _stripped(parts[name])
    return Choice(tensors, _words(name, prefix, tuple(parts)), tuple(parts))


def _parts(loaded: Any) -> dict[str, dict[str, Tensor]]:
    """The dictionaries of tensors, by the key that leads to them; the whole itself is "all"."""
    if not isinstance(loaded, Mapping):
        return {}
    parts = {}
    for key in (*PLAIN, *AVERAGED):
        inner = loaded.get(key)
        for path, value in ((key, inner), *_one_deeper(key, inner)):
            if _tensors_of(value):
                parts[path] = _tensors_of(value)
                break
    whole = _tensors_of(loaded)
    return parts or ({"all": whole} if whole else {})


def _one_deeper(key: str, inner: Any) -> list[tuple[str, Any]]:
    if not isinstance(inner, Mapping):
        return []
    return [(f"{key}.{name}", inner[name]) for name in ("state_dict", "model", "module") if name in inner]


def _tensors_of(value: Any) -> dict[str, Tensor]:
    if not isinstance(value, Mapping):
        return {}
    return {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, Tensor)}


def _preferred(parts: Mapping[str, Any]) -> str:
    plain = [name for name in parts if name.split(".")[0] not in AVERAGED]
    if len(plain) > 1:
        raise UnlearnError(f"it holds several models ({', '.join(plain)}). Say which of them to take.")
    return next(iter(plain or parts))


def _stripped(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    removed = ""
    # AveragedModel counts its updates beside the model's own tensors.
    rest = {k: v for k, v in tensors.items() if k != "n_averaged"}
    while prefix := next((p for p in PREFIXES if rest and all(k.startswith(p) for k in rest)), ""):
        rest = {k.removeprefix(prefix): v for k, v in rest.items()}
        removed += prefix
    return (rest, removed) if removed else (tensors, "")


def _words(name: str, prefix: str, parts: tuple[str, ...]) -> str:
    others = [part for part in parts if part != name]
    words = [
        "" if name == "all" else f"part {name!r}",
        f"prefix {prefix!r} taken off" if prefix else "",
        f"the file also holds {', '.join(others)}" if others else "",
    ]
    return "; ".join(w for w in words if w)


def _described(loaded: Any) -> str:
    if isinstance(loaded, Mapping):
        keys = ", ".join(shown(str(key)) for key in list(loaded)[:8])
        return f"a dictionary with the keys {keys}" if keys else "an empty dictionary"
    return f"a {type(loaded).__name__}"
