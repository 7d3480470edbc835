"""A run that makes a model forget, with controls beside it."""

from unlearn_core.params import Setting, settings_of
from unlearn_core.results.claims import alarm
from unlearn_core.results.closeness import Measures
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.result import Forgetting, Rung, UnlearnResult
from unlearn_core.running.cost import estimate
from unlearn_core.running.kinds.kind import Kind, Output, Params
from unlearn_core.unlearning.registry import find_method
from unlearn_core.words import percent, seconds
from unlearn_core.workflows.requests import UnlearnRequest


def table_of(result: Forgetting) -> str:
    """The result of unlearning for a terminal: what it came to, and a small table."""
    rows: list[tuple[str, Evaluation | Rung | None]] = [
        ("before", result.before),
        ("pruned", result.pruned),
        ("after", result.after),
        *((f"control: {name}", control.evaluation) for name, control in result.controls.items()),
    ]
    titles = ("forget", "retain", "UA", "MIA", "RA", "TA")
    lines = [f"{'':26}{''.join(f'{title:>10}' for title in titles)}   (forget, retain: test accuracy)"]
    lines += [_line(name, tested) for name, tested in rows if tested]
    return "\n".join([*filter(None, [alarm(result)]), *lines, seconds(result.seconds), *result.notes])


def _line(name: str, tested: Evaluation | Rung) -> str:
    measures = tested.measures if isinstance(tested, Evaluation) else Measures()
    shares = (tested.forget_test_accuracy, tested.retain_test_accuracy, *measures)
    return f"{name:26}{''.join(f'{percent(share):>10}' for share in shares)}".rstrip()


def _settings(method: str) -> tuple[Setting, ...]:
    return settings_of(find_method(method).params)


KIND = Kind(
    name="unlearn",
    label="Unlearning",
    about="Make a model forget, with controls beside it.",
    request=UnlearnRequest,
    result=UnlearnResult,
    summary=lambda result, wrote: table_of(result),
    params=Params(_settings, of="method", heading="settings of {}"),
    required=lambda method: ("model", "data"),
    output=Output("model.safetensors", "where the unlearned model goes (.safetensors)"),
    keeps_parts=True,
    forgets=lambda request: True,
    estimate=estimate,
)
