"""What an unlearning method is: all that a form, the command line, an estimate, a table or a sentence needs to know of it.

Nothing here imports torch, whose import takes seconds; a method's function is imported when it is first asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from unlearn_core.unlearning.work import Sizes, Work

if TYPE_CHECKING:
    from unlearn_core.models.classifier import Classifier
    from unlearn_core.unlearning.task import Outcome, Task

    Run = Callable[[Classifier, Any, Task], Outcome]


class Family(StrEnum):
    """What kind of method it is, in the order in which the form offers them."""

    PRUNING = "Prunes channels"
    SPARSITY_PAPER = "Compared in the sparsity paper"
    WRONG_LABELS = "Wrong labels"
    ASCENT = "Against the forget set"
    TEACHING = "Teacher and student"
    REFERENCE = "The reference"
    CONTROL = "Controls"


@dataclass(frozen=True)
class Beside:
    """A method as a control that stands beside another.

    Attributes:
        label: What the form calls it there.
        words: What a sentence or a chart calls it there.
        about: What its result says there.
        usual: Whether it runs where nobody names the controls.
    """

    label: str
    words: str
    about: str
    usual: bool


@dataclass(frozen=True)
class Caution:
    """A sentence about settings that are unreasonable or were measured to fail.

    Attributes:
        applies: Whether these settings are such.
        text: What to know.
    """

    applies: Callable[[Any], bool]
    text: str


@dataclass(frozen=True)
class Method:
    """One way to unlearn.

    Attributes:
        name: Stable name on the command line and in stored runs.
        label: What a person reads where there is room.
        short: What charts and tables call it.
        family: What kind of method it is.
        about: One sentence.
        paper: Authors, title, venue; empty for what nobody published.
        link: Address of the paper.
        params: A frozen dataclass of settings.
        work: What it costs with these settings on data of these sizes.
        code: Where its function stands, as `module:function`; empty for `run` in the module of its name.
        control: Whether it is there for comparison alone, and no proposal.
        whole_classes: Whether it forgets whole classes only, and refuses a random share.
        retain_alone: Whether its every training step is on retained images.
        prunes: Whether it silences or cuts out channels.
        beside: What it is as a control beside another method; None where the form offers it as none.
        published: What the paper or its authors' code sets otherwise than the defaults here.
        presets: Settings by name, the first being the defaults; what a preset doesn't name is the default.
        presets_help: What the presets are.
        cautions: What to know of settings before a run.
    """

    name: str
    label: str
    short: str
    family: Family
    about: str
    paper: str
    link: str
    params: type
    work: Callable[[Any, Sizes], Work]
    code: str = ""
    control: bool = False
    whole_classes: bool = False
    retain_alone: bool = False
    prunes: bool = False
    beside: Beside | None = None
    published: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    presets_help: str = ""
    cautions: tuple[Caution, ...] = ()

    @property
    def run(self) -> "Run":
        """From the model (the method's own copy), its settings and the task to the outcome."""
        function: Run = resolve_name(self.code or f"unlearn_core.unlearning.{self.name}:run")
        return function
