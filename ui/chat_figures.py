"""What an answer took, how it ended and what the filters did, in words and figures."""

import math

from ui.answering import UNSEEN_SECONDS
from ui.chat import BY_YOU, UNSEEN, Reply, Spent
from ui.language_model import Used
from ui.notices import plain

REASONS = {
    "stop": "It is whole: the model ended it, or one of the stop texts did (`stop`).",
    "length": "It is cut off: max_tokens was reached, or the model's context is full (`length`).",
    "content_filter": "A filter ended it here, and kept back what would have followed (`content_filter`).",
}
STOPPED = {
    BY_YOU: "Stopped by you. This page closed the connection, and so the server stopped computing.",
    UNSEEN: f"Ended, since nobody looked at this page for {UNSEEN_SECONDS:g} seconds: nobody pays for "
    "what nobody reads. What had come by then is kept.",
}


def how_it_ended(reply: Reply) -> str:
    """In a sentence; empty for one that goes on, or whose failure says it."""
    if reply.stopped:
        return STOPPED[reply.stopped]
    if reply.failure or not reply.ended:
        return ""
    return REASONS.get(reply.finish_reason, f"It ended: {plain(reply.finish_reason) or 'why, nobody said'}.")


def filters(reply: Reply) -> list[str]:
    """A sentence for each text in which they found something."""
    said = []
    if replaced := names(reply.in_prompt, refused=False):
        said.append(f"In what you sent, {replaced} replaced something before the model read it.")
    if replaced := names(reply.in_answer, refused=False):
        said.append(f"In the answer, {replaced} replaced something before it was sent.")
    if refused := names(reply.in_answer, refused=True):
        said.append(f"The answer was ended by {refused}.")
    return said


def names(found: dict[str, bool], refused: bool) -> str:
    known = [f"`{plain(name)}`" for name, ended in found.items() if ended is refused]
    return f"the filter{'s' if len(known) > 1 else ''} {' and '.join(known)}" if known else ""


def figures(reply: Reply) -> dict[str, str]:
    """By what they are; those that are not known are not there."""
    used, found = reply.used, {}
    if reply.first_ms is not None:
        found["first token after"] = f"{reply.first_ms:,.0f} ms"
    if reply.per_second:
        found["tokens a second"] = f"{reply.per_second:,.0f}"
    if used:
        found["tokens of the answer"] = f"{used.completion:,}"
        cached = f", {used.cached:,} of them cached" if used.cached else ""
        found["tokens of the prompt"] = f"{used.prompt:,}{cached}"
        if used.currency:
            found["cost"] = money(used.cost, used.currency)
    elif reply.pieces:
        found["pieces that came"] = f"{reply.pieces:,}"
    return found


def money(amount: float, currency: str) -> str:
    """With two digits that say something, however small it is."""
    digits = 2 if amount >= 0.01 or amount <= 0 else 1 - math.floor(math.log10(amount))
    return f"{amount:.{digits}f} {plain(currency)}"


def spent(here: Spent) -> str:
    """What this visit's answers took; empty where there is none yet."""
    counted = here.answers - here.uncounted
    said = []
    if counted:
        costs = " and ".join(money(amount, currency) for currency, amount in here.costs.items())
        cached = f" ({here.cached:,} cached)" if here.cached else ""
        said.append(
            f"So far, {many(counted)} for {costs or 'nothing'}: {here.prompt:,} tokens of prompts{cached}, "
            f"{here.completion:,} of answers."
        )
    if here.uncounted:
        which = "that was not" if here.uncounted == 1 else "that were not"
        also = "And " if counted else ""
        said.append(f"{also}{many(here.uncounted)} {which} whole: those tokens only the server has counted.")
    return " ".join(said)


def many(answers: int) -> str:
    return "1 answer" if answers == 1 else f"{answers:,} answers"


def used_today(used: list[Used]) -> str:
    """What a server has counted."""
    if not used:
        return "nothing"
    tokens = sum(one.prompt + one.completion for one in used)
    costs: dict[str, float] = {}
    for one in used:
        costs[one.currency] = costs.get(one.currency, 0.0) + one.cost
    cost = " and ".join(money(amount, currency) for currency, amount in costs.items())
    return f"{tokens:,} tokens, {cost}"
