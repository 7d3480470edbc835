"""How settings came about follows from the settings."""

import pytest

from unlearn_core.params import build, plain
from unlearn_core.sparsify.registry import SPARSIFIERS
from unlearn_core.unlearning.provenance import CHOSEN, how_chosen, sentence_of
from unlearn_core.unlearning.registry import METHODS

DEFAULTS = {"lr": 0.01, "epochs": 10, "precision": "auto"}
RELEASED = METHODS["tfidf_prune"].presets["Paper as released (global threshold)"]


@pytest.mark.parametrize(
    ("values", "tuned", "chosen"),
    [
        (DEFAULTS, False, "published"),
        ({**DEFAULTS, "precision": "float32"}, False, "published"),
        ({**DEFAULTS, "lr": 0.02}, False, "by hand"),
        (DEFAULTS, True, "tuned"),
        ({**DEFAULTS, "lr": 0.02}, True, "tuned"),
    ],
)
def test_of_a_published_method(values: dict[str, object], tuned: bool, chosen: str) -> None:
    assert how_chosen(METHODS["fine_tune"].published, values, DEFAULTS, tuned=tuned) == chosen


def test_of_pruning_the_released_setting_is_published_and_ours_is_recommended() -> None:
    defaults = plain(build(METHODS["tfidf_prune"].params, {}))
    assert how_chosen(METHODS["tfidf_prune"].published, defaults, defaults, tuned=False) == "recommended"
    assert (
        how_chosen(METHODS["tfidf_prune"].published, {**defaults, **RELEASED}, defaults, tuned=False)
        == "published"
    )
    assert (
        how_chosen(METHODS["tfidf_prune"].published, {**defaults, "ratio": 0.3}, defaults, tuned=False)
        == "by hand"
    )


def test_what_the_authors_did_not_run_is_not_called_published() -> None:
    """Retraining's defaults are the model's own recipe, and influence is solved as the authors' recursion is not."""
    recipe = plain(build(METHODS["retrain"].params, {"epochs": 3}))
    assert how_chosen(METHODS["retrain"].published, recipe, recipe, tuned=False) == "recommended"
    papers = {**recipe, "epochs": 182, "lr": 0.1, "schedule": "multistep"}
    assert how_chosen(METHODS["retrain"].published, papers, recipe, tuned=False) == "published"
    defaults = plain(build(METHODS["influence"].params, {}))
    assert how_chosen(METHODS["influence"].published, defaults, defaults, tuned=False) == "recommended"
    released = {**defaults, "solver": "released"}
    assert how_chosen(METHODS["influence"].published, released, defaults, tuned=False) == "published"
    assert (
        how_chosen(METHODS["influence"].published, {**defaults, "alpha": 5.0}, defaults, tuned=False)
        == "by hand"
    )


def test_without_settings_nothing_was_chosen() -> None:
    assert how_chosen(METHODS["mask_logit"].published, {}, {}, tuned=False) == ""


def test_the_papers_masks_took_more_epochs_than_ours() -> None:
    recipe = plain(build(SPARSIFIERS["omp"].params, {}))
    assert how_chosen(SPARSIFIERS["omp"].published, recipe, recipe, tuned=False) == "recommended"
    papers = {**recipe, "epochs": 182, "lr": 0.1, "schedule": "multistep", "rewind_epoch": 8}
    assert how_chosen(SPARSIFIERS["omp"].published, papers, recipe, tuned=False) == "published"


def test_every_word_is_explained() -> None:
    assert all(sentence_of(word).startswith(f"Settings: {word} (") for word in CHOSEN)
    assert sentence_of("") == ""
