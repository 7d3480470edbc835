"""A run that makes a model forget, with controls beside it."""

from unlearn_core.params import Setting, settings_of
from unlearn_core.results.closeness import values_of
from unlearn_core.running.kinds.kind import Kind, Output, Params, Result
from unlearn_core.unlearning.registry import find_method
from unlearn_core.workflows.requests import UnlearnRequest


def table_of(result: Result) -> str:
    """The result of unlearning as a small table for a terminal."""
    rows = [("before", result["before"]), ("pruned", result["pruned"]), ("after", result["after"])]
    rows += [(f"control: {name}", control["evaluation"]) for name, control in result["controls"].items()]
    titles = ("forget", "retain", "UA", "MIA", "RA", "TA")
    lines = [f"{'':26}{''.join(f'{title:>10}' for title in titles)}   (forget, retain: test accuracy)"]
    for name, values in rows:
        if values:
            tested = (values["forget_test_accuracy"], values["retain_test_accuracy"])
            shares = (*tested, *values_of(values).values())
            lines.append(f"{name:26}{''.join(_percent(share) for share in shares)}".rstrip())
    return "\n".join([*lines, f"{result['seconds']:.1f} s", *result["notes"]])


def _percent(share: float | None) -> str:
    return f"{'-' if share is None else format(share, '.1%'):>10}"


def _settings(method: str) -> tuple[Setting, ...]:
    return settings_of(find_method(method).params)


KIND = Kind(
    name="unlearn",
    label="Unlearning",
    about="Make a model forget, with controls beside it.",
    request=UnlearnRequest,
    summary=lambda result, wrote: table_of(result),
    params=Params(_settings, of="method", heading="settings of {}"),
    required=lambda method: ("model", "data"),
    output=Output("model.safetensors", "where the unlearned model goes (.safetensors)"),
    keeps_parts=True,
    forgets=lambda request: True,
)
