"""What a kind of run is: an entry of a mapping, with what is asked of it, its words, and one function that does the work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from unlearn_core.params import Setting, settings_of
from unlearn_core.progress import Report
from unlearn_core.running.bench import Bench, Estimate

Request = Mapping[str, Any]
"""What is asked of a run, in plain values: `settings`, and beside them the parameters of what is run."""

Workflow = Callable[[Request, Path, Report], Any]
"""Does the work: (request, folder for its files, report) -> the result, of the kind's type."""


@dataclass(frozen=True)
class Params:
    """The settings beside the request's own: those of a method, a recipe.

    Attributes:
        settings: All of them, by the name of what is run; what this needs is imported only when it is called.
        of: The setting of the request that holds this name ("method"); empty where there is but one way.
        part: Under which name they travel in a request.
        heading: What stands above them in the command's help, with the name in place of {}; empty for nothing.
        with_defaults: Whether those that nobody gives travel as their defaults; else the run fills them in.
    """

    settings: Callable[[str], tuple[Setting, ...]]
    of: str = ""
    part: str = "params"
    heading: str = ""
    with_defaults: bool = False


@dataclass(frozen=True)
class Output:
    """The file of a finished run that `--out` copies.

    Attributes:
        name: In the run's folder.
        help: What the command says of `--out`.
        required: Whether the command can't do without it.
    """

    name: str
    help: str
    required: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of run.

    Attributes:
        name: Stable name on the command line and in stored runs.
        label: What a person reads in a list of runs.
        about: What the command does, one sentence.
        request: A frozen dataclass of the settings, the `device` among them.
        result: The frozen type of what a run gives.
        summary: A finished run at a terminal, from its result and what is to be said of the file that `--out` wrote.
        code: Where its function stands, as `module:function`; empty for that of its name in `workflows`.
        params: The settings beside the request's own, if there are any.
        required: The settings that a command must give, by the name of what is run.
        output: What `--out` copies, if anything.
        subcommands: Whether the name of what is run is a word of its own on the command line, not an option.
        on_card: Whether the card of the model that is made tells the command.
        keeps_parts: Whether a run that was stopped goes on after its last finished part.
        forgets: Whether a run compares a model before and after it forgot.
        estimate: How long a run would take; None where nothing tells.
        verb: What is done about the classes in `forget`.
    """

    name: str
    label: str
    about: str
    request: type
    result: type
    summary: Callable[[Any, str], str]
    code: str = ""
    params: Params | None = None
    required: Callable[[str], tuple[str, ...]] = lambda name: ()
    output: Output | None = None
    subcommands: bool = False
    on_card: bool = False
    keeps_parts: bool = False
    forgets: Callable[[Request], bool] = lambda request: False
    estimate: Callable[[Request, Bench], Estimate | None] | None = None
    verb: Callable[[Request], str] = lambda request: "Forget"

    @property
    def run(self) -> Workflow:
        """Does the work; imported when it is first asked for."""
        function: Workflow = resolve_name(self.code or f"unlearn_core.workflows.{self.name}:{self.name}")
        return function

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings of a request."""
        return settings_of(self.request)

    def variant(self, settings: Mapping[str, Any]) -> str:
        """The name of what is run, as the settings of a request have it; empty where there is but one way."""
        of = self.params.of if self.params else ""
        return str(settings.get(of, getattr(self.request, of))) if of else ""

    @property
    def in_sets(self) -> bool:
        """Whether runs over several seeds are put together as one set."""
        return {"seed", "group", "variants"} <= {s.name for s in self.settings}
