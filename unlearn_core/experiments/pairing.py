"""Which retrained model a trial is measured by, and how far retraining lies from itself: the same in every table and chart."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from unlearn_core.experiments.grouping import level_of, one_a_seed
from unlearn_core.experiments.trial import FEDERATED, Trial
from unlearn_core.results.closeness import Measures, noise_floor
from unlearn_core.unlearning.registry import REFERENCE

AVERAGE = "avg_gap"

Floor = Mapping[str, float | None]
"""By measure, and of all four as `avg_gap`; None where it isn't known."""


def references(groups: Mapping[str, Sequence[Trial]]) -> list[Trial]:
    """The retrained models among `grouped` trials, in one place or by clients."""
    return [t for members in groups.values() for t in members if is_reference(t.method)]


def is_reference(method: str) -> bool:
    """Whether a method is retraining, in one place or by clients."""
    return method.removeprefix(FEDERATED) == REFERENCE


def paired(trial: Trial, retrained: Sequence[Trial]) -> Trial | None:
    """The retrained model that a trial is measured by: of the same forget set, and otherwise as like it as there is.

    What counts, in this order: the same mask, else dense; by clients, and the same ones, where the trial is; measured in
    the same place; not with settings of somebody's own; the same seed.
    """
    same = [
        r
        for r in retrained
        if r.digest == trial.digest
        and (not r.sparsity or same_mask(r, trial))
        and (trial.federated or not r.federated)
    ]

    def unlike(r: Trial) -> tuple[bool, ...]:
        likeness = (not same_mask(r, trial), r.federated != trial.federated, not same_clients(r, trial))
        return *likeness, r.stored != trial.stored, of_ones_own(r), r.seed != trial.seed

    return min(same, key=unlike, default=None)


def same_mask(one: Trial, two: Trial) -> bool:
    """Whether two trials began with models that are as sparse by the same sparsifier; dense ones are."""
    return level_of(one) == level_of(two)


def same_clients(one: Trial, two: Trial) -> bool:
    """Whether two federated trials have as many clients with images dealt alike; those of one place have none."""
    return all(one.params.get(name) == two.params.get(name) for name in ("clients", "partition"))


def same_configuration(one: Trial, two: Trial) -> bool:
    """Whether two trials are of one method with one setting on models as sparse, wherever they were measured."""
    return one.method == two.method and one.params == two.params and same_mask(one, two)


def of_ones_own(trial: Trial) -> bool:
    """Whether somebody chose the settings."""
    return trial.chosen in {"by hand", "tuned"}


def standard(retrained: Sequence[Trial]) -> list[Trial]:
    """Of the retrained models of one level, those of the setting that counts, one a seed.

    Retraining by two settings is no repetition: somebody's own setting counts only where there is no other, and of others
    the one with the most seeds.
    """
    settings = [one_a_seed(t for t in retrained if same_configuration(t, r)) for r in retrained]
    return max(settings, key=lambda same: (not of_ones_own(same[0]), len(same)), default=[])


def floor_of(reference: Trial, retrained: Sequence[Trial]) -> Floor:
    """How far models lie from each other that were retrained as a reference was; None where there are fewer than two.

    Only those without the same images: what lies between two draws of a random share is no noise of retraining. Where they
    were measured doesn't matter, as accuracy is no machine's.
    """
    by_set: dict[str, list[Trial]] = defaultdict(list)
    for trial in one_a_seed(r for r in retrained if same_configuration(r, reference)):
        by_set[trial.digest].append(trial)
    floor = noise_floor([measures_of(t) for t in max(by_set.values(), key=len, default=[])])
    return {**vars(floor.gaps), AVERAGE: floor.avg_gap}


def measures_of(trial: Trial) -> Measures:
    """The trial's four measures."""
    return Measures(trial.ua, trial.mia, trial.ra, trial.ta)
