"""What a sparsifier is: all that a form, the command line, an estimate or a table needs to know of it, without torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from unlearn_core.sparsify.effort import Effort

if TYPE_CHECKING:
    from unlearn_core.sparsify.task import Found, SparseTask

    Find = Callable[[Any, SparseTask], Found]


@dataclass(frozen=True)
class Sparsifier:
    """One way to find a mask.

    Attributes:
        name: Stable name on the command line and in stored runs.
        label: What a person reads where there is room.
        short: What charts and tables call it.
        about: One sentence.
        paper: Authors, title, venue.
        link: Address of the paper.
        params: A frozen dataclass of settings, a `SparseRecipe`.
        effort: What finding the mask costs, from the settings and whether the given model's own weights are ranked;
            otherwise a dense model is trained anew.
        sees_data: Whether the mask depends on the training images.
        code: Where its function stands, as `module:function`; empty for `find` in the module of its name.
        published: What the paper or its authors' code sets otherwise than the defaults here.
    """

    name: str
    label: str
    short: str
    about: str
    paper: str
    link: str
    params: type
    effort: Callable[[Any, bool], Effort]
    sees_data: bool
    code: str = ""
    published: Mapping[str, Any] = field(default_factory=dict)

    @property
    def find(self) -> "Find":
        """From the settings and the task to a mask and the weights to start from."""
        function: Find = resolve_name(self.code or f"unlearn_core.sparsify.{self.name}:find")
        return function


def effort_of(sparsifier: Sparsifier, params: Any, *, given: bool, strict: bool) -> Effort:
    """What it costs until the sparse model is there.

    Args:
        sparsifier: How its mask is found.
        params: The sparsifier's settings.
        given: Whether the given model's own weights are ranked.
        strict: Whether the mask is found twice, the second time without the forget set and from a dense model of its own.
    """
    again = sparsifier.effort(params, False) if strict else Effort()
    return sparsifier.effort(params, given) + again + Effort(params.epochs)
