"""What the plan owes to how statistics are added and protected: agreement with the plan of the exact ones.

The exact statistics are those of all images together. A server never sees the parts that they are made of unprotected;
where one machine plays all clients, it can, and this is what it measures then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats, collect, first_per_class
from unlearn_core.channels.pruning import ChannelGroup, PruningSettings, make_plan
from unlearn_core.channels.scoring import channel_scores, require_images
from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.aggregation import STATS_WEIGHTINGS, add_stats
from unlearn_core.federated.client_stats import load_client_stats
from unlearn_core.federated.partition import Positions
from unlearn_core.federated.privacy import Privacy, noisy, suppressed
from unlearn_core.models.classifier import Classifier
from unlearn_core.progress import Progress, Report
from unlearn_core.results.exchanges import Agreement, FloorAgreement, NoiseAgreement

FLOORS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Floors k that are tried: classes with fewer images at a client stay unreported."""

EPSILONS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
"""Privacy losses epsilon that are tried; below about 10 a guarantee means something."""

DRAWS = 5
"""Draws of the noise at each epsilon."""

MOST_BYTES = 512 * 1024**2
"""Clients' statistics that take more memory than this are not compared."""

Channels = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Planner:
    """How plans are made of statistics: always in the same way, so that only the statistics differ.

    Attributes:
        groups: Groups of the unpruned model.
        settings: What to prune; several classes are planned jointly, whatever `combine` says.
        seed: For the random direction.
    """

    groups: tuple[ChannelGroup, ...]
    settings: PruningSettings
    seed: int = 0

    def channels(self, stats: ActivationStats, targets: Sequence[int], least: int = 0) -> Channels | None:
        """The channels to prune, as (group, channel); None where the statistics don't suffice.

        Args:
            stats: Of whomever.
            targets: Indices of the classes to forget.
            least: Fewest images of each target.
        """
        try:
            require_images(stats, targets, max(1, least))
            plan = make_plan(channel_scores(stats), self.groups, targets, self.settings, seed=self.seed)
        except UnlearnError:
            return None
        return frozenset((g.name, c) for g in plan.groups for c in g.channels)


def overlap(plan: Channels | None, exact: Channels | None) -> float | None:
    """Share of the exact plan's channels that the other one prunes too; None where either is missing."""
    return len(plan & exact) / len(exact) if plan is not None and exact else None


def by_chance(exact: Channels, groups: Sequence[ChannelGroup]) -> float:
    """The overlap to expect of channels drawn at random, as many in each group."""
    counts = {g.name: sum(name == g.name for name, _ in exact) for g in groups}
    return sum(counts[g.name] ** 2 / g.size for g in groups) / max(1, len(exact))


def client_parts(
    model: Classifier,
    images: ImageSet,
    dealt: Sequence[Positions],
    classes: Sequence[str],
    *,
    tap: str,
    per_class: int,
    clip: float,
    report: Report,
) -> list[ActivationStats]:
    """What each client would report of its images without protection; with `clip`, of clipped activations."""
    parts = []
    for client, positions in enumerate(dealt):
        own = images.select(torch.from_numpy(positions))
        scored = first_per_class(own.labels.numpy(), per_class)
        parts.append(collect(model, own.select(torch.from_numpy(scored)), classes, tap=tap, clip=clip))
        report(Progress("comparing with the exact plan", client + 1, len(dealt)))
    return parts


def compared(
    reported: Sequence[ActivationStats],
    weighting: str,
    parts: Sequence[ActivationStats],
    clipped: Sequence[ActivationStats],
    planner: Planner,
    targets: Sequence[int],
    privacy: Privacy,
    least: int,
) -> Agreement | None:
    """Every plan beside the exact one; None where there is no exact plan.

    Args:
        reported: What the clients of the run reported, protected as the run asked for.
        weighting: How the run added them: a key of `STATS_WEIGHTINGS`.
        parts: What each client would have reported without protection.
        clipped: The same of clipped activations.
        planner: Makes the plans.
        targets: Indices of the classes to forget.
        privacy: The run's own, for clip and delta.
        least: Fewest images of a class that a plan is made from.
    """
    whole = add_stats(parts)
    exact = planner.channels(whole, targets, least)
    if exact is None:
        return None
    own = STATS_WEIGHTINGS[weighting](reported)
    plain = STATS_WEIGHTINGS["plain"](parts)
    k = len(whole.classes)
    return Agreement(
        channels=len(exact),
        chance=by_chance(exact, planner.groups),
        run=overlap(planner.channels(own, targets, least), exact),
        plain=overlap(planner.channels(plain, targets, least), exact),
        plain_by_class=tuple(
            overlap(planner.channels(plain, [c], least), planner.channels(whole, [c], least))
            for c in range(k)
        ),
        alone=tuple(overlap(planner.channels(part, targets), exact) for part in parts),
        floors=tuple(_floors(parts, planner, targets, exact, least)),
        epsilons=tuple(_epsilons(clipped, planner, targets, exact, privacy)),
        clip=privacy.clip,
        draws=DRAWS,
    )


def _floors(
    parts: Sequence[ActivationStats],
    planner: Planner,
    targets: Sequence[int],
    exact: Channels,
    least: int,
) -> Iterator[FloorAgreement]:
    counts = np.stack([part.counts for part in parts])
    for k in FLOORS:
        reported = add_stats([suppressed(part, k) for part in parts])
        hidden = float(counts[counts < k].sum() / max(1, counts.sum()))
        yield FloorAgreement(k, overlap(planner.channels(reported, targets, least), exact), hidden)


def _epsilons(
    clipped: Sequence[ActivationStats],
    planner: Planner,
    targets: Sequence[int],
    exact: Channels,
    privacy: Privacy,
) -> Iterator[NoiseAgreement]:
    for i, epsilon in enumerate(EPSILONS):
        tried = Privacy(1, epsilon, privacy.delta, privacy.clip)
        drawn = []
        for draw in range(DRAWS):
            rng = np.random.default_rng([planner.seed, i, draw])
            noised = add_stats([noisy(part, tried, rng) for part in clipped])
            drawn.append(overlap(planner.channels(noised, targets), exact))
        known = [a for a in drawn if a is not None]
        mean = float(np.mean(known)) if known else None
        yield NoiseAgreement(epsilon, mean, min(known, default=None), max(known, default=None))


def layer_scores(
    path: Path | str, layer: str, classes: Sequence[str], tap: str
) -> tuple[tuple[int, ...], NDArray[np.int64], NDArray[np.float64]]:
    """TF-IDF scores of one layer from what clients reported.

    Args:
        path: The run's `client_stats.npz`.
        layer: One of its layers.
        classes: The K class names.
        tap: Where activations were read.

    Returns:
        The M clients' numbers; and (2 + M, K, C): of all together, of the plain average, then of each client. A class
        that a client reported no image of is NaN.
    """
    parts = {
        client: replace(part, sums={layer: part.sums[layer]})
        for client, part in load_client_stats(Path(path), classes, tap).items()
    }
    each = list(parts.values())
    rows = [add_stats(each), STATS_WEIGHTINGS["plain"](each), *each]
    scores = np.stack([channel_scores(row).by_layer[layer] for row in rows])
    return tuple(parts), np.stack([part.counts for part in each]), scores
