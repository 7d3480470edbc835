"""Which settings of federated unlearning forget a class and keep it forgotten over the rounds: what the defaults stand on.

python -m benchmarks.federated_defaults [--models bundled:digits-resnet20,bundled:digits-vgg11] [--classes 3]
                                        [--settings "ratio=0.2;lr=0.03 ratio=0.3;lr=0.05"] [--rounds 5]

Test accuracy on the class and on the others after the last round, with the highest scores pruned and with random channels.
"""

import argparse
import itertools

from benchmarks.federated import rungs_of
from benchmarks.record import print_table, save
from unlearn_core.data.classes import class_index
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening


def main():
    args = arguments()
    rows = []
    for model in args.models.split(","):
        dataset, loaded = open_both(Opening(model, args.data, device="cpu"), lambda progress: None)
        for partition, settings, cls in itertools.product(
            args.partitions.split(","), args.settings.split(), args.classes.split(",")
        ):
            asked = {
                "data": args.data,
                "clients": args.clients,
                "partition": partition,
                "rounds": args.rounds,
                "device": "cpu",
            }
            params = dict(pair.split("=") for pair in settings.split(";"))
            told = {}
            for name, direction in (("highest scores", "high"), ("random channels", "random")):
                changed = {**params, "direction": direction}
                told[name] = shown(
                    rungs_of("unlearn", loaded, asked, changed, (class_index(dataset.classes, cls),))
                )
            rows.append(
                {
                    "model": loaded.card.name,
                    "partition": partition,
                    "settings": settings,
                    "class": cls,
                    **told,
                }
            )
            print_table([rows[-1]], header=len(rows) == 1)
            save("federated-defaults", {"arguments": vars(args), "rows": rows})


def shown(rungs):
    """Accuracy on the class and on the others after the last round, and the most of the class that any round had."""
    most = max(r["forget_test_accuracy"] for r in rungs if r["round"])
    return (
        f"{rungs[-1]['forget_test_accuracy']:.1%} (most {most:.0%}) / {rungs[-1]['retain_test_accuracy']:.1%}"
    )


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="bundled:digits-resnet20,bundled:digits-vgg11")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--classes", default="3")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--partitions", default="iid,dirichlet:0.5,dirichlet:0.1")
    parser.add_argument("--settings", default="ratio=0.2;lr=0.03 ratio=0.3;lr=0.05")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
