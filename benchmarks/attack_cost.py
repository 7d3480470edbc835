"""What the published membership attack costs: fitting it, and deciding by table instead of asking the machine itself.

python -m benchmarks.attack_cost [--model bundled:cifar10-resnet20] [--data cifar10:ROOT] [--forget cat] [--counts 360,10000]

The attack learns from as many retained training images as test images (counts: at most so many of each) and then judges
the whole forget set and everything it learned from. Both decisions are compared image by image. Seconds are the
processor's, on one thread.
"""

import argparse
import time

import numpy as np
import torch

from benchmarks.record import print_table, save
from unlearn_core.attacks.answers import attack_order
from unlearn_core.attacks.mia import confidence_attack
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.progress import silent
from unlearn_core.workflows.answers import answers_of
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="bundled:cifar10-resnet20")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--forget", default="cat")
    parser.add_argument("--counts", default="360,1000,3000,10000")
    args = parser.parse_args()
    torch.set_num_threads(1)
    dataset, loaded = open_both(Opening(args.model, args.data, device="cpu"), silent)
    answers = answers_of(loaded.model, split_dataset(dataset, ForgetSpec((args.forget,))), silent)
    retain, test = (part.confidence[attack_order(part.labels)] for part in (answers.retain, answers.test))
    confidence_attack(retain[:9], test[:9])  # what is imported once would count for the first row alone
    rows = [row(retain, test, answers.forget.confidence, int(n)) for n in args.counts.split(",")]
    print_table(rows)
    save(
        f"attack-cost-{loaded.card.name}",
        {"arguments": {**vars(args), "data": dataset.spec.name}, "rows": rows},
    )


def row(retain, test, forget, count):
    """One size: seconds of fitting and of both ways to decide, and whether these agree."""
    members, others = retain[:count], test[:count]
    judged = np.concatenate([members, others, forget])
    attack, fitting = timed(lambda: confidence_attack(members, others))
    by_table, table = timed(lambda: attack.members(judged))
    by_machine, machine = timed(lambda: attack.machine.predict(judged[:, None]) == 1)
    return {
        "members": len(members),
        "others": len(others),
        "judged": len(judged),
        "fitting s": round(fitting, 3),
        "by table s": round(table, 4),
        "by the machine s": round(machine, 3),
        "times as fast": round(machine / table, 1),
        "decided otherwise": int((by_table != by_machine).sum()),
    }


def timed(work):
    """What the work gives, and the processor's seconds that it took."""
    began = time.process_time()
    done = work()
    return done, time.process_time() - began


if __name__ == "__main__":
    main()
