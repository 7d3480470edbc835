"""Who may take part: the claims of clients that register, checked by themselves and beside what was dealt."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from unlearn_core.federated import validate
from unlearn_core.federated.messages import Answer
from unlearn_core.federated.roster import Roster
from unlearn_core.federated.rules import Rules
from unlearn_core.federated.validate import Rejection
from unlearn_core.results.exchanges import Member

MOST_IMAGES = 1_000_000_000


def enrol(
    answers: Iterable[Answer], rules: Rules, dealt: Sequence[tuple[int, int]]
) -> tuple[Roster, list[Rejection]]:
    """The clients whose claims hold, and the others with reasons.

    Args:
        answers: To the question to register.
        rules: Of the run.
        dealt: Images, and those to train on, of each client's part by its number; empty where nobody dealt any.
    """
    members: dict[int, Member] = {}
    rejected = []
    for answer in sorted(answers, key=lambda a: (str(a.config.get("client")), a.node)):
        numbers = {member.client for member in members.values()}
        reason = claim_problem(answer.config, rules.clients, numbers)
        reason = reason or deal_problem(answer.config, dealt, own=rules.own_data)
        if reason:
            rejected.append(Rejection(answer.node, reason))
        else:
            members[answer.node] = _member(answer)
    return Roster(rules, dict(sorted(members.items(), key=lambda item: item[1].client))), rejected


def claim_problem(config: Mapping[str, Any], clients: int, numbers: Collection[int]) -> str:
    """What is wrong with what a client registers: its number, and how many images it holds and trains on.

    Args:
        config: Its answer.
        clients: How many there are to be.
        numbers: Those of the clients that have registered.
    """
    return (
        validate.whole_number_problem(config, "client", 0, clients - 1)
        or validate.whole_number_problem(config, "images", 1, MOST_IMAGES)
        or validate.whole_number_problem(config, "train_images", 0, config["images"])
        or (f"Client {config['client']} is registered already." if config["client"] in numbers else "")
    )


def deal_problem(config: Mapping[str, Any], dealt: Sequence[tuple[int, int]], *, own: bool) -> str:
    """What is wrong with a well-formed claim beside what was dealt.

    Args:
        config: The client's answer.
        dealt: Images, and those to train on, of each client's part by its number; empty where nobody dealt any.
        own: Whether clients may hold images of their own.
    """
    if config.get("own_data") is True:
        return "" if own else "It says that its images are its own, but this run dealt them."
    claimed = (config["images"], config["train_images"])
    if dealt and claimed != dealt[config["client"]]:
        return "It registers {} images, {} to train on; it was dealt {} and {}.".format(
            *claimed, *dealt[config["client"]]
        )
    return ""


def _member(answer: Answer) -> Member:
    counts = {name: answer.config[name] for name in ("client", "images", "train_images")}
    return Member(answer.node, **counts, own_data=answer.config.get("own_data") is True)
