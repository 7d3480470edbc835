"""Controls that stand beside every result: settings, cost and what is said of them."""

from dataclasses import dataclass, replace

from unlearn_core.unlearning.method import Beside, Family, Method
from unlearn_core.unlearning.methods import tfidf_prune
from unlearn_core.unlearning.work import at_one_stroke


@dataclass(frozen=True)
class NoParams:
    """Nothing to set."""


UNTOUCHED = Method(
    name="untouched",
    label="Untouched model",
    short="Untouched model",
    family=Family.CONTROL,
    about="The original model, evaluated again.",
    paper="",
    link="",
    params=NoParams,
    work=at_one_stroke,
    code="unlearn_core.unlearning.controls:untouched",
    control=True,
)
MASK_LOGIT = Method(
    name="mask_logit",
    label="Mask the logit",
    short="Masked logit",
    family=Family.CONTROL,
    about="Switches the class's output off and leaves everything inside as it was.",
    paper="",
    link="",
    params=NoParams,
    work=at_one_stroke,
    code="unlearn_core.unlearning.controls:mask_logit",
    control=True,
    whole_classes=True,
    beside=Beside(
        label="Mask the logit",
        words="masked logit",
        about="Switches only the class's output off. What forgets no better inside has hidden, not forgotten.",
        usual=True,
    ),
)
RESET_ROW = Method(
    name="reset_row",
    label="Reset the classifier row",
    short="Reset classifier row",
    family=Family.CONTROL,
    about="Draws the class's output weights anew and leaves everything before them as it was.",
    paper="",
    link="",
    params=NoParams,
    work=at_one_stroke,
    code="unlearn_core.unlearning.controls:reset_row",
    control=True,
    whole_classes=True,
    beside=Beside(
        label="Reset the classifier row",
        words="reset classifier row",
        about="Draws only the class's output weights anew. Everything before them still knows the class.",
        usual=False,
    ),
)
RANDOM_PRUNE = replace(
    tfidf_prune.METHOD,
    name="random_prune",
    label="Random channels",
    short="Random channels",
    family=Family.CONTROL,
    about="The same pruning and fine-tuning with channels drawn at random.",
    code="unlearn_core.unlearning.tfidf_prune:run_random",
    control=True,
    beside=Beside(
        label="Random channels",
        words="random channels",
        about="Prunes as many channels, drawn at random: says what the scores are worth.",
        usual=True,
    ),
)
