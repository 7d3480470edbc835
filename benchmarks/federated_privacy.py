"""What the scores lose for the clients' privacy: agreement of the plan with the exact one against k, epsilon and clip.

python -m benchmarks.federated_privacy [--model bundled:digits-vgg11] [--data digits] [--forget 0,1,2,3,4,5,6,7,8,9]

Agreement is the share of the exact plan's channels that the protected plan has too, as a mean over the classes to forget,
and for noise over --draws draws of it. Next to it stands what one client sends, against what its images would take.
"""

import argparse

import numpy as np

from benchmarks.record import print_table, save
from unlearn_core.channels.scoring import LEAST_IMAGES
from unlearn_core.channels.surgery import channel_groups
from unlearn_core.data.classes import class_index
from unlearn_core.federated.aggregation import add_stats, average_stats
from unlearn_core.federated.agreement import Planner, by_chance, client_parts, overlap
from unlearn_core.federated.client import example_for
from unlearn_core.federated.messages import payload_bytes, state_of, stats_to_arrays
from unlearn_core.federated.partition import draw, parse_partition
from unlearn_core.federated.privacy import Privacy, gaussian_sigma, noisy, suppressed
from unlearn_core.federated.request import PARAMS
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening


def main():
    args = arguments()
    dataset, loaded = open_both(Opening(args.model, args.data, device=args.device), silent)
    forget = [class_index(dataset.classes, name) for name in args.forget.split(",")]
    params = build(PARAMS["unlearn"], {"ratio": args.ratio})
    example = example_for(loaded.model, dataset.test.images)
    planner = Planner(channel_groups(loaded.model.net, example, params.residual), params)
    rows = []
    for clients in map(int, args.clients.split(",")):
        for partition in args.partitions.split(","):
            for row in cell(args, dataset, loaded, planner, forget, clients, partition):
                rows.append(row)
                print_table([shown(row)], header=len(rows) == 1)
    save(f"federated-privacy-{loaded.card.name}", {"arguments": vars(args), "rows": rows})


def cell(args, dataset, loaded, planner, forget, clients, partition):
    """All protections for one deal of the images, as rows."""
    dealt = draw(dataset.train.labels.numpy(), clients, parse_partition(partition), seed=args.seed)
    tap, images = planner.settings.tap, dataset.train

    def read(clip):
        return client_parts(
            loaded.model,
            images,
            dealt,
            dataset.classes,
            tap=tap,
            per_class=0,
            clip=clip,
            report=silent,
        )

    parts = read(0.0)
    plans = {k: planner.channels(add_stats(parts), (k,)) for k in forget}
    told = {"clients": clients, "partition": partition, **traffic(parts, loaded, images, clients)}

    def row(protection, tries, **more):
        return {**told, "protection": protection, **agreement(planner, forget, plans, tries), **more}

    chance = float(np.mean([by_chance(plan, planner.groups) for plan in plans.values()]))
    yield {**told, "protection": "channels at random", "agreement": chance, "no plan": 0.0}
    yield row("plain average", [average_stats(parts)])
    for k in map(int, args.floors.split(",")):
        hidden = sum(int(p.counts[p.counts < k].sum()) for p in parts) / len(images)
        yield row(f"k={k}", [add_stats([suppressed(p, k) for p in parts])], hidden=hidden)
    for clip in map(float, args.clips.split(",")):
        clipped = read(clip)
        yield row(f"clip={clip:g}", [add_stats(clipped)])
        for epsilon in map(float, args.epsilons.split(",")):
            privacy = Privacy(1, epsilon, args.delta, clip)
            tries = [noised(clipped, privacy, seed) for seed in range(args.draws)]
            sigma = gaussian_sigma(epsilon, args.delta)
            yield row(f"epsilon={epsilon:g}, clip={clip:g}", tries, sigma=sigma)


def agreement(planner, forget, exact, tries):
    """Mean share of the exact plans' channels that are found again, and of how many plans there was none."""
    found = [
        overlap(planner.channels(stats, (k,), LEAST_IMAGES), exact[k]) for stats in tries for k in forget
    ]
    known = [share for share in found if share is not None]
    return {
        "agreement": float(np.mean(known)) if known else None,
        "no plan": 1 - len(known) / len(found),
    }


def noised(parts, privacy, seed):
    """The sum of all clients' reports, each under noise of its own."""
    return add_stats([noisy(p, privacy, np.random.default_rng([seed, c])) for c, p in enumerate(parts)])


def traffic(parts, loaded, images, clients):
    """Bytes: a client's statistics, a round's model one way, and a client's images on average."""
    return {
        "statistics": payload_bytes(stats_to_arrays(parts[0]), {}),
        "model": payload_bytes(state_of(loaded.model.net), {}),
        "images": images.images.numel() // clients,
    }


def shown(row):
    """A row of the table."""
    return {
        **{name: row[name] for name in ("clients", "partition", "protection")},
        "agreement": "-" if row["agreement"] is None else f"{row['agreement']:.1%}",
        "no plan": f"{row['no plan']:.0%}",
        "kB statistics / model / images": " / ".join(
            f"{row[n] / 1e3:.0f}" for n in ("statistics", "model", "images")
        ),
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="bundled:digits-vgg11")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--forget", default="0,1,2,3,4,5,6,7,8,9")
    parser.add_argument("--clients", default="4,10")
    parser.add_argument("--partitions", default="iid,dirichlet:0.1")
    parser.add_argument("--floors", default="2,5,10,20,50")
    parser.add_argument("--clips", default="0.1,0.25,0.5,1")
    parser.add_argument("--epsilons", default="1,10,100,1000")
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--ratio", type=float, default=0.2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
