"""No sentence on a drawn result is false, by a checker that was written from the words of the sentences."""

import importlib.util
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unlearn_core.intervals import Tally
from unlearn_core.results.claims import alarm, verdicts
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.result import Control, Rung, UnlearnResult
from unlearn_core.results.verdicts import headline

_SPEC = importlib.util.spec_from_file_location(
    "sentence_checker", Path(__file__).with_name("sentence_checker.py")
)
checker = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(checker)


@st.composite
def evaluations(draw, classes, targets, sizes, train):
    """Any model's counts: everything right, everything lost, or between."""
    rows = []
    for k, total in enumerate(sizes):
        right = draw(st.one_of(st.sampled_from([0, total, total // 20]), st.integers(0, total)))
        row = [0] * len(sizes)
        row[k] = right
        row[(k + 1) % len(sizes)] += total - right
        rows.append(tuple(row))
    forget, retain = (Tally(draw(st.one_of(st.just(0), st.integers(0, n))), n) for n in train)
    return Evaluation(classes, targets, tuple(rows), forget, retain)


@st.composite
def results(draw):
    """Few or many images and classes; controls better or worse than the method; references of other machines."""
    count = draw(st.integers(2, 12))
    classes = tuple(f"c{k}" for k in range(count))
    targets = tuple(range(draw(st.integers(1, min(3, count - 1)))))
    sizes = [draw(st.sampled_from([1, 3, 8, 36, 100, 1000])) for _ in classes]
    train = draw(st.tuples(st.sampled_from([0, 1, 40, 500]), st.sampled_from([20, 2000])))
    model = evaluations(classes, targets, sizes, train)
    before, after = draw(model), draw(model)
    total = before.group_tally(forgotten=True).total
    course = draw(st.lists(st.integers(0, total), max_size=3))
    ladder = [Rung(rung=f"epoch {i}", forget_test_accuracy=v / total) for i, v in enumerate(course)]
    controls = {
        name: Control(
            evaluation=draw(model),
            seconds=draw(st.one_of(st.none(), st.floats(0.5, 500))),
            stored=draw(st.booleans()),
        )
        for name in draw(st.sets(st.sampled_from(["fine_tune", "random_prune", "mask_logit", "retrain"])))
    }
    last = Rung(rung="last", forget_test_accuracy=after.forget_test_accuracy)
    return UnlearnResult(
        method=draw(st.sampled_from(["tfidf_prune", "fine_tune", "scrub", "gradient_ascent"])),
        params=draw(st.sampled_from([{}, {"ratio": 0.3, "epochs": 2}])),
        seconds=draw(st.floats(0.5, 500)),
        before=before,
        after=after,
        ladder=(*ladder, last),
        controls=controls,
    )


def no_false_sentence(result):
    """Fails with the first sentence that the numbers don't bear out."""
    sentences = [v.text for v in verdicts(result)]
    opening = alarm(result)
    for sentence in [*sentences, *([opening] if opening else [])]:
        assert checker.check(result, sentence), sentence
    assert checker.cost_is_true(result, headline(result)), headline(result)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(results())
def test_no_sentence_is_false(result):
    no_false_sentence(result)
