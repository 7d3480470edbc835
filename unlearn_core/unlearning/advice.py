"""What a person should know about settings before a run: what was measured to go wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

from unlearn_core.params import build
from unlearn_core.unlearning.method import Method


def warnings(method: Method, params: Mapping[str, Any], forget: Sequence[str], num_classes: int) -> list[str]:
    """A sentence for each setting that is unreasonable or was measured to fail; none for reasonable ones."""
    sentences = [c.text for c in method.cautions if c.applies(build(method.params, params))]
    if num_classes and len(forget) > num_classes / 2:
        sentences.append(
            f"{len(forget)} of {num_classes} classes are to be forgotten; with so few left, accuracy says little."
        )
    return sentences
