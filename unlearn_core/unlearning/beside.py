"""Which controls stand beside a method, with whose settings, and what they are called there."""

from unlearn_core.unlearning.method import Method
from unlearn_core.unlearning.registry import METHODS, REFERENCE


def controls_beside(method: Method) -> list[Method]:
    """The controls that say something of a method's result: first those that are nothing else."""
    able = [m for m in METHODS.values() if m.beside and (shares_pruning(method) or not m.prunes)]
    return sorted(able, key=lambda m: not m.control)


def usual_controls(method: Method) -> list[str]:
    """The names of the controls that run where nobody names any."""
    return [m.name for m in controls_beside(method) if m.beside and m.beside.usual]


def shares_pruning(method: Method) -> bool:
    """Whether controls beside a method prune and fine-tune as it does: as many channels at random say nothing where the
    method prunes none."""
    return method.prunes and not method.control


def shares_settings(control: Method, method: Method) -> bool:
    """Whether a control takes the settings of the method that it stands beside."""
    return shares_pruning(method) and control.name != REFERENCE


def words_of(name: str) -> str:
    """What a sentence or a chart calls a control by this name; the name itself where nobody knows it."""
    control = METHODS.get(name)
    if control is None:
        return name
    return control.beside.words if control.beside else control.short
