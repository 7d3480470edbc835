"""What the Audit page looks at: every model of a run with its answers image by image, and what their groups are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from pages.parts import compared
from pages.parts.opened import store
from unlearn_core.attacks.answers import ModelAnswers, load_answers
from unlearn_core.attacks.contests import Contest, Success, attack_success, contests
from unlearn_core.attacks.signals import Signal
from unlearn_core.unlearning.registry import short_label
from unlearn_core.workflows import pack

_PREFIX = "membership_"
_NAMES = {"before": "Before", "after": "After", "retrain": "Retrained"}


@dataclass(frozen=True, eq=False)
class Audited:
    """One run under audit.

    Attributes:
        side: The run.
        models: Each model's answers by its name in the run: `before`, `after`, then `retrain` and other controls.
    """

    side: compared.Side
    models: Mapping[str, ModelAnswers]

    @property
    def retrained(self) -> str:
        """The name that the retrained model has in this run; there may be none of that name."""
        return "after" if self.side.result.method == "retrain" else "retrain"

    @property
    def classes(self) -> tuple[str, ...]:
        """The forgotten classes; none where a random share was forgotten."""
        return self.side.evaluation.forgotten

    @property
    def contests(self) -> dict[str, Contest]:
        """What can be told apart in this run."""
        return contests(self.models["after"])

    def label(self, name: str) -> str:
        """What a model is called."""
        return _NAMES.get(name) or short_label(name)

    def groups(self) -> dict[str, str]:
        """What the parts are called."""
        if self.classes:
            same = "class" if len(self.classes) == 1 else "classes"
            unseen = {"test_forget": f"Unseen, same {same}", "test": "Unseen, other classes"}
        else:
            unseen = {"test": "Unseen"}
        return {"forget": "Forget set", **unseen, "retain": "Retain set"}

    def success(self, contest: Contest, signal: Signal) -> dict[str, Success]:
        """How an attack fares on every model of this run."""
        return attack_success(self.models, contest, signal, self.retrained)


def audited(side: compared.Side) -> Audited | None:
    """The run with its models; None where it didn't keep answers image by image.

    Raises:
        UnlearnError: Its files are damaged.
    """
    files = _files(side)
    order = ["before", "after", "retrain", *side.result.controls]
    models = {name: _answers(str(files[name])) for name in dict.fromkeys(order) if name in files}
    return Audited(side, models) if {"before", "after"} <= models.keys() else None


def why_not(side: compared.Side) -> str:
    """Why a run can't be audited."""
    if side.request["settings"].get("superlink"):
        return (
            "The training images of this run stay at the clients, so the server has no answers on them to attack. "
            "Make the same model forget on the Forget page, with all images in one place, to see the attack."
        )
    if side.key == compared.STORED:
        return (
            "The bundled example run keeps no answers image by image on its training images, so the attack can't be shown. "
            "The same run takes less than a minute on the Forget page."
        )
    return (
        "This run was made before answers were kept image by image, so the attack can't be shown. "
        "Start it again; the same settings and seed give the same model."
    )


def _files(side: compared.Side) -> dict[str, Path]:
    """The files with answers, by the model's name."""
    if side.source == compared.STORED:
        return {p.stem.removeprefix(_PREFIX): p for p in (pack.folder() / "run").glob(f"{_PREFIX}*.npz")}
    names = [n for n in store().files(side.source) if n.startswith(_PREFIX) and n.endswith(".npz")]
    return {Path(n).stem.removeprefix(_PREFIX): store().artifact(side.source, n) for n in names}


# A finished run's files never change, so that the path says the content.
@st.cache_resource(show_spinner=False, max_entries=24)
def _answers(path: str) -> ModelAnswers:
    return load_answers(Path(path))
