"""Who may take part: the claims of clients that register, checked by themselves and beside what was dealt."""

from collections.abc import Iterable, Sequence

from unlearn_core.federated import validate
from unlearn_core.federated.messages import Answer
from unlearn_core.federated.roster import Roster
from unlearn_core.federated.rules import Rules
from unlearn_core.federated.validate import Rejection
from unlearn_core.results.exchanges import Member


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
        reason = validate.claim_problem(answer.config, rules.clients, numbers)
        reason = reason or validate.deal_problem(answer.config, dealt, own=rules.own_data)
        if reason:
            rejected.append(Rejection(answer.node, reason))
        else:
            members[answer.node] = _member(answer)
    return Roster(rules, dict(sorted(members.items(), key=lambda item: item[1].client))), rejected


def _member(answer: Answer) -> Member:
    counts = {name: answer.config[name] for name in ("client", "images", "train_images")}
    return Member(answer.node, **counts, own_data=answer.config.get("own_data") is True)
