"""Sentences: each must follow from the numbers, whichever way they point."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from unlearn_core.channels.pruning import PlannedGroup, PruningPlan
from unlearn_core.intervals import Tally
from unlearn_core.results.claims import came_back, come_back, verdicts
from unlearn_core.results.evaluation import Evaluation, MembershipAttacks
from unlearn_core.results.result import Control, Forgetting, Rung, UnlearnResult
from unlearn_core.results.verdicts import finding, headline

CLASSES = ("cat", "dog", "ship")


def evaluation(*right: int, forget: tuple[int, ...] = (2,)) -> Evaluation:
    """100 test images a class, so many of them right; the wrong ones go to the next class."""
    rows = [[0, 0, 0] for _ in CLASSES]
    for k, count in enumerate(right):
        rows[k][k], rows[k][(k + 1) % 3] = count, 100 - count
    return Evaluation(CLASSES, forget, tuple(map(tuple, rows)))


def result(after: Evaluation, rungs: Sequence[float] = (), **controls: Evaluation) -> UnlearnResult:
    course = [0.99, *(rungs or [after.confusion[2][2] / 100])]
    names = ["original", "pruned", *(f"epoch {i}" for i in range(1, 9))]
    return UnlearnResult(
        method="tfidf_prune",
        before=evaluation(98, 97, 99),
        after=after,
        seconds=2.0,
        ladder=tuple(
            Rung(rung=n, forget_test_accuracy=a, retain_test_accuracy=0.9)
            for n, a in zip(names, course, strict=False)
        ),
        controls={name: Control(evaluation=e, seconds=20.0) for name, e in controls.items()},
    )


def told(outcome: Forgetting) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"good": [], "bad": [], "note": []}
    for verdict in verdicts(outcome):
        found[verdict.tone].append(verdict.text)
    return found


PLAN = PruningPlan(
    (PlannedGroup("a", ("a", "b"), 8, True, (1, 2, 3)), PlannedGroup("c", ("c",), 8, True, (0,)))
)


def test_the_finding_counts_channels_and_names_the_cost() -> None:
    text = finding(evaluation(98, 97, 99), evaluation(98, 60, 0), PLAN, 688)
    assert text == (
        "Pruning 7 of 688 channels took “ship” from 99.0 to 0.0 %; "
        "cost “dog” −37.0 points (outside noise), others within noise "
        "(a loss shows from 7.0 points on together, from 8.0 points on in each alone)."
    )


def test_the_finding_when_nothing_else_moved() -> None:
    text = finding(evaluation(98, 97, 99), evaluation(97, 97, 95), what="Fine-tuning")
    assert text == (
        "Fine-tuning took “ship” from 99.0 to 95.0 %; all other classes within noise "
        "(a loss shows from 4.5 points on together, from 9.0 points on in each alone)."
    )


def test_the_finding_of_several_classes_and_in_the_present_tense() -> None:
    before, after = evaluation(98, 97, 99, forget=(0, 2)), evaluation(0, 50, 0, forget=(0, 2))
    text = finding(before, after, what="Silencing 3 channels", ahead=True)
    assert text.startswith(
        "Silencing 3 channels takes “cat” and “ship” from 98.5 to 0.0 %; costs “dog” −47.0 points"
    )
    assert text.endswith("no other class is left.")


def test_the_finding_counts_where_many_classes_moved() -> None:
    names = tuple(f"c{i}" for i in range(8))

    def many(right: int) -> Evaluation:
        rows = [[0] * 8 for _ in names]
        for k in range(8):
            rows[k][k], rows[k][(k + 1) % 8] = right, 100 - right
        return Evaluation(names, (0,), tuple(map(tuple, rows)))

    assert "7 of 7 other classes moved by more than noise" in finding(many(95), many(40))


def test_the_finding_of_a_random_share_speaks_of_all_classes() -> None:
    text = finding(evaluation(90, 90, 90, forget=()), evaluation(80, 90, 90, forget=()), what="Retraining")
    assert "took the test accuracy from 90.0 to 86.7 %" in text


def test_a_class_that_came_back_is_said() -> None:
    outcome = result(evaluation(98, 97, 60), [0.0, 0.3, 0.6])
    assert come_back(outcome) == (0.0, 0.6, "pruned")
    assert any("came back: from 0.0 % at “pruned” to 60.0 %" in text for text in told(outcome)["bad"])
    assert came_back(outcome).endswith("though none of its images was seen in between.")
    assert any("not forgotten" in text for text in told(outcome)["bad"])


@pytest.mark.parametrize("method", ["gradient_ascent", "salun", "scrub", "boundary_shrink"])
def test_of_a_method_that_trains_on_the_forget_set_it_is_not_said_that_it_saw_none(method: str) -> None:
    outcome = replace(result(evaluation(98, 97, 60), [0.0, 0.6]), method=method)
    assert came_back(outcome) == "The forgotten class came back: from 0.0 % at “pruned” to 60.0 % at the end."
    assert came_back(outcome) in told(outcome)["bad"]


def test_a_rise_within_noise_is_no_come_back() -> None:
    assert come_back(result(evaluation(98, 97, 2), [0.0, 0.02])) is None
    assert come_back(result(evaluation(98, 97, 0), [0.5, 0.0])) is None
    assert came_back(result(evaluation(98, 97, 0), [0.5, 0.0])) == ""


@pytest.mark.parametrize(("left", "tone", "words"), [(1, "bad", "do as well"), (84, "good", "does matter")])
def test_random_channels_can_speak_against_the_scores(left: int, tone: str, words: str) -> None:
    texts = told(result(evaluation(98, 97, 0), random_prune=evaluation(98, 97, left)))[tone]
    assert any("Random channels" in text and words in text for text in texts)


@pytest.mark.parametrize("left", [1, 84])
def test_random_channels_say_nothing_of_a_method_that_prunes_none(left: int) -> None:
    outcome = replace(result(evaluation(98, 97, 0), random_prune=evaluation(98, 97, left)), method="scrub")
    assert not [text for texts in told(outcome).values() for text in texts if "Random channels" in text]


@pytest.mark.parametrize(("left", "tone"), [(0, "bad"), (96, "good")])
def test_fine_tuning_alone_can_speak_against_the_pruning(left: int, tone: str) -> None:
    texts = told(result(evaluation(98, 97, 0), fine_tune=evaluation(98, 97, left)))[tone]
    assert any("Fine-tuning alone" in text for text in texts)


def test_a_masked_logit_is_called_hidden() -> None:
    texts = told(result(evaluation(98, 97, 0), mask_logit=evaluation(98, 97, 0)))["note"]
    assert any("hidden from forgotten" in text for text in texts)


def test_retraining_says_how_much_faster_and_whether_as_good() -> None:
    same = told(result(evaluation(98, 97, 0), retrain=evaluation(97, 98, 0)))
    assert any("as good as retraining" in t and "10.0 times as fast" in t for t in same["good"])
    worse = told(result(evaluation(60, 60, 0), retrain=evaluation(97, 98, 0)))
    assert any("37.5 points below" in t for t in worse["bad"])
    missing = told(result(evaluation(98, 97, 0)))
    assert any("no retrained reference" in t for t in missing["note"])


def shared(right: int, efficacy: float = 0.1, test: int = 98) -> Evaluation:
    """Of 1,000 images of a random share so many are still answered rightly."""
    e = evaluation(test, test, test, forget=())
    return replace(e, forget_train=Tally(right, 1000), mia=MembershipAttacks(efficacy))


def of_share(after: Evaluation, retrained: Evaluation | None = None) -> UnlearnResult:
    controls = {"retrain": Control(evaluation=retrained, seconds=20.0)} if retrained else {}
    return UnlearnResult(method="scrub", before=shared(1000), after=after, seconds=2.0, controls=controls)


def test_a_random_share_without_a_reference_has_no_target() -> None:
    [only] = verdicts(of_share(shared(960)))
    assert only.tone == "note" and "what retraining gives" in only.text


@pytest.mark.parametrize(
    ("right", "tone", "words"),
    [
        (955, "good", "like a model that never saw them"),
        (1000, "bad", "still knows more of them"),
        (700, "bad", "has lost more of them"),
    ],
)
def test_a_random_share_is_forgotten_as_far_as_retraining_forgets(right: int, tone: str, words: str) -> None:
    first, *_ = verdicts(of_share(shared(right), shared(950)))
    assert first.tone == tone and words in first.text
    assert f"UA is {(1000 - right) / 10:.1f} %, retraining's 5.0 %, the untouched model's 0.0 %" in first.text


def test_where_retraining_forgets_no_more_than_noise_nothing_is_claimed() -> None:
    first, *_ = verdicts(of_share(shared(1000), shared(999)))
    assert first.tone == "note" and "can't tell forgetting from doing nothing" in first.text


def test_the_attack_on_a_random_share_is_compared_with_retraining() -> None:
    texts = told(of_share(shared(955, 0.1), shared(950, 0.4)))
    assert any("tells the two models apart" in t for t in texts["bad"])
    texts = told(of_share(shared(955, 0.39), shared(950, 0.4)))
    assert any("no difference outside noise" in t for t in texts["good"])


def test_the_finding_of_a_random_share_names_its_target() -> None:
    text = finding(shared(1000), shared(960, test=97), what="SCRUB", retrained=shared(950))
    assert text == (
        "SCRUB left 96.0 % of the 1000 images to forget recognised (100.0 % before, 95.0 % after retraining) and took the "
        "test accuracy from 98.0 to 97.0 %; all classes within noise "
        "(a loss shows from 3.3 points on together, from 9.0 points on in each alone)."
    )


def test_a_random_share_has_no_class_to_judge() -> None:
    outcome = replace(result(evaluation(98, 97, 99)), after=evaluation(98, 97, 99, forget=()))
    assert [v.tone for v in verdicts(outcome)] == ["note"]


def test_a_method_that_prunes_nothing_is_not_called_pruning() -> None:
    outcome = replace(result(evaluation(98, 97, 0), fine_tune=evaluation(98, 97, 96)), method="scrub")
    texts = told(outcome)["good"]
    assert any("this method is what made it forget" in t for t in texts)


def of_eight(right: int, training: int = 0) -> Evaluation:
    """Eight test images of the class to forget, and 1,000 training images of it."""
    rows = ((98, 2, 0), (0, 97, 3), (8 - right, 0, right))
    return Evaluation(CLASSES, (2,), rows, Tally(training, 1000))


def test_no_difference_on_few_images_is_not_called_as_well() -> None:
    outcome = result(of_eight(0), random_prune=of_eight(3))
    [text] = [t for t in told(outcome)["note"] if "random channels" in t]
    assert text == (
        "No difference to random channels at the same ratio is shown (37.5 % left against 0.0 %): "
        "8 images can show differences from 50.0 points on."
    )


def test_a_class_is_gone_only_where_its_training_images_are_too() -> None:
    outcome = result(of_eight(0, training=123))
    assert "not forgotten: 0.0 % of 8 test images" in told(outcome)["bad"][0]
    assert "12.3 % of 1,000 training images" in told(outcome)["bad"][0]
    assert headline(outcome).startswith("“ship” is not forgotten: 0.0 % of 8 test images and 12.3 % of")


def test_a_class_is_not_as_gone_as_after_retraining() -> None:
    outcome = result(of_eight(0, training=40), retrain=of_eight(0))
    assert told(outcome)["bad"][0].startswith("Not as gone as after retraining")


def test_where_neither_forgot_fine_tuning_does_not_forget_as_well() -> None:
    texts = told(result(evaluation(98, 97, 97), fine_tune=evaluation(98, 97, 97)))["bad"]
    assert "Fine-tuning alone doesn't forget the class either (97.0 % left against 97.0 %)." in texts


def test_a_method_that_did_not_forget_is_not_what_made_it_forget() -> None:
    texts = told(result(evaluation(98, 97, 58), fine_tune=evaluation(98, 97, 96)))
    assert not [t for tone in texts.values() for t in tone if "made it forget" in t]


def test_a_class_that_was_never_gone_does_not_come_back() -> None:
    assert come_back(result(evaluation(98, 97, 90), [0.4, 0.9])) is None


def test_seconds_of_another_machine_are_not_compared() -> None:
    outcome = result(evaluation(98, 97, 0), retrain=evaluation(97, 98, 0))
    control = replace(outcome.controls["retrain"], stored=True)
    texts = told(replace(outcome, controls={"retrain": control}))["good"]
    assert not [t for t in texts if "times as" in t]


def test_an_under_trained_reference_is_called_so_wherever_it_stands() -> None:
    outcome = result(evaluation(98, 97, 0), retrain=evaluation(70, 70, 0))
    reference = replace(outcome.controls["retrain"].evaluation, retain_train=Tally(736, 1000))
    control = Control(evaluation=reference, seconds=20.0, params={"epochs": 12})
    before = replace(outcome.before, retain_train=Tally(998, 1000))
    texts = told(replace(outcome, before=before, controls={"retrain": control}))
    assert any("under-trained: it recognises 73.6 %" in t and "12 epochs" in t for t in texts["bad"])
    assert any("points above the under-trained retraining" in t for t in texts["good"])


def test_losses_that_only_show_together_are_said() -> None:
    names = tuple(f"c{i}" for i in range(10))

    def digits(right: int) -> Evaluation:
        rows = [[0] * 10 for _ in names]
        for k in range(10):
            rows[k][k], rows[k][(k + 1) % 10] = right, 36 - right
        return Evaluation(names, (0,), tuple(map(tuple, rows)))

    assert "all other classes together −8.3 points (outside noise), though none alone" in finding(
        digits(36), digits(33)
    )


def test_fine_tuning_is_named_as_part_of_what_did_it() -> None:
    outcome = replace(result(evaluation(98, 97, 0), [0.4, 0.0]), plan=PLAN)
    assert headline(outcome, 688).startswith("Pruning 7 of 688 channels and fine-tuning took “ship”")


def test_what_failed_comes_first_with_what_to_try() -> None:
    outcome = replace(result(evaluation(98, 97, 60), [0.0, 0.6]), params={"ratio": 0.1, "epochs": 4})
    assert headline(outcome).startswith(
        "“ship” came back: 60.0 % of 100 test images still recognised. To try: "
    )
    assert "a larger ratio than 0.1 and fewer epochs than 4" in headline(outcome)


def test_one_image_to_forget_can_show_nothing() -> None:
    one = replace(shared(1000), forget_train=Tally(1, 1))
    outcome = replace(of_share(one, one), before=one)
    assert any("1 image can show no difference at all" in t for t in told(outcome)["note"])
