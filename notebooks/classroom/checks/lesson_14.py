"""The checks of lesson 14. None needs a model or a server."""

import random
from copy import deepcopy
from decimal import Decimal

from ..exercises import NotYet, exercise, shown

# --- 14.1

READS = (
    ("ham", "ham", True, "What does your function return where it finds the word?"),
    ("ham", "A slice of HAM, please", True, "Which case does the text have, and which the word?"),
    ("basil", "Is there basil?", True, "Which word does your function look for?"),
    ("basil", "Is there ham?", False, "Which word does your function look for?"),
    ("ham", "Birmingham", False, "What stands before the word?"),
    ("ham", "a hamster", False, "What stands behind the word?"),
    ("ham", "ham2", False, "What stands behind the word?"),
    ("ham", "\uff48\uff41\uff4d", True, "That is in full width. What makes ordinary letters of it?"),
    ("ham", "h\u200bam", True, "A character that nobody sees is in it. What takes it out?"),
    ("ham", "h\u0430m", True, "Its а is Cyrillic. What does LOOKS make of it?"),
    ("ham", "H\u0410M", True, "A Cyrillic capital. Which letters does LOOKS know, and when is it asked?"),
    ("ham", "h@m", True, "What does LOOKS make of the @?"),
    ("ham", "h.a.m", True, "One sign stands between each two letters. What may stand there?"),
    ("ham", "h - a - m", True, "Three signs stand between each two letters. How many may?"),
    ("ham", "h_a_m", True, "Is an underscore one of `\\w` or of `\\W`?"),
    ("ham", "_ham_", True, "An underscore is no letter. What is it for `\\b` and `\\w`?"),
    ("ham", "h....a....m", False, "Four signs stand between each two letters. How many may?"),
    ("ham", "with a map", False, "Letters stand directly before and after *h a m*. May they?"),
    ("ham", "h am", False, "Nothing stands between its a and its m. Between which letters must something?"),
    ("basil", "b a\ns-i.l", True, "Which signs may stand between two letters?"),
)  # fmt: skip


@exercise(
    "14.1",
    hints=(
        "`LOOKS` has small letters only. In which order come `cleaned`, small letters and `LOOKS`?",
        "A pattern has two halves: the word, or its letters with something between. What does "
        "`between.join(word)` give, if `between` is a pattern for one to three signs?",
        "`(?<!…)` and `(?!…)` say what must not stand before and after. `[^\\W_]` is a letter or a digit. "
        "How does it differ from `\\w`?",
    ),
)
def what_a_person_would_read(answers):
    finds = answers.function("finds")
    for word, text, expected, question in READS:
        said = finds(word, text)
        if bool(said) is not expected:
            raise NotYet(
                f"finds({word!r}, {ascii(text)}) gave {shown(said)}, expected {expected}. {question}"
            )
    return f"{len(READS)} texts are read as a person would, and the city may stay."


# --- 14.2

HELD = (
    (["ham"], "some ha", 2, "Which ends of the text could go on to be a word?"),
    (["ham"], "some han", 0, "It ends in n. How could it go on to be a word?"),
    (["ham"], "ha, and", 0, "Nothing that comes can make a word of *ha, and*. Where is the *ha*?"),
    (["ham"], "HA", 2, "Capitals count, too. What do you compare with what?"),
    (["ham"], "", 0, "The text is empty. How much can wait?"),
    (["ham"], "h", 1, "A single letter may be a beginning. Do you look at those?"),
    (["ham", "hammock"], "HH", 1, "The last H may be a beginning. And the one before it?"),
    (["ham", "basil"], "bas", 3, "Which of the words can it become? Do you look at all of them?"),
    (["basil", "ham"], "bas", 3, "Which of the words can it become? Do you look at all of them?"),
    (["banana"], "banan", 5, "Which of the ends that fit is the longest?"),
    (["nano", "banana"], "bana", 4, "Both *na* and *bana* are beginnings. Which of them has to wait?"),
    (["coconut"], "cococo", 4, "*co* and *coco* are beginnings. Which of them has to wait?"),
    (["ham"], "wha", 2, "A word counts within others as well. Where may it begin?"),
)  # fmt: skip
WORDS = ["ham", "haha", "banana", "nab"]


def streamed(kept, text: str, sizes: random.Random) -> tuple[str, str]:
    """What a window lets out of a text in pieces, and "refused" or "whole"."""
    held, out, at = "", "", 0
    while at < len(text):
        size = sizes.randint(1, 4)
        held += text[at : at + size]
        at += size
        if any(word in held.lower() for word in WORDS):
            return out, "refused"
        until = len(held) - kept(held, WORDS)
        out, held = out + held[:until], held[until:]
    return out + held, "whole"


@exercise(
    "14.2",
    hints=(
        "`text.endswith('ha')` says whether the last two letters are *ha*. Which beginnings of a word do "
        "you ask for?",
        "Beginnings of 1 to `len(word) - 1` letters: `word[:count]`. What if two of them fit?",
        "`max(…, default=0)` is the greatest. What is it where there is none?",
    ),
)
def hold_back_what_may_become_a_word(answers):
    kept = answers.function("kept")
    for words, text, expected, question in HELD:
        said = kept(text, list(words))
        if said != expected or isinstance(said, bool) or not isinstance(said, int):
            raise NotYet(f"kept({text!r}, {words}) gave {shown(said)}, expected {expected}. {question}")
    chance = random.Random(14)
    for _ in range(400):
        text = "".join(chance.choices("hamnbA o", k=chance.randint(1, 24)))
        out, how = streamed(kept, text, chance)
        refused = any(word in text.lower() for word in WORDS)
        if how == "whole" and (refused or out != text):
            raise NotYet(f"of {text!r}, in pieces, {out!r} was let out. What left too early?")
        if any(word in out.lower() for word in WORDS):
            raise NotYet(
                f"of {text!r}, in pieces, {out!r} was let out, with a word in it. What left too early?"
            )
    return "400 texts, cut at random: no word left, and what may leave did not wait."


# --- 14.3

PRICE = {"prompt": Decimal("2.00"), "cached": Decimal("0.10"), "completion": Decimal("10.00")}


def usage_of(prompt: int, completion: int, details: object = 0) -> dict:
    told = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if details == "none":
        return told
    return told | {
        "prompt_tokens_details": {"cached_tokens": details} if isinstance(details, int) else details
    }


BILLS = (
    (usage_of(1_000_000, 0), "2", "A price is for how many tokens?"),
    (usage_of(0, 1_000_000), "10", "Which price has what the model writes?"),
    (usage_of(1_000_000, 1_000_000), "12", "Two kinds of tokens, two prices. Do you add both?"),
    (
        usage_of(1200, 300, 1000),
        "0.0035",
        "1000 of the 1200 were cached. How many are left at the full price, and what do the others cost?",
    ),
    (usage_of(500, 0, 500), "0.00005", "All of the prompt was cached. What is left at the full price?"),
    (
        usage_of(1200, 300, "none"),
        "0.0054",
        "There is no `prompt_tokens_details`. How many were cached then?",
    ),
    (usage_of(1200, 300, None), "0.0054", "`prompt_tokens_details` is None. How many were cached then?"),
    (usage_of(1, 0, 1), "0.0000001", "A ten-millionth of a dollar. Do you round?"),
)


@exercise(
    "14.3",
    hints=(
        "How many of the prompt's tokens have the full price, if some were cached?",
        "Three products and one sum. How often is it divided by a million?",
        "`usage.get('prompt_tokens_details') or {}` is a dictionary in any case. What gives its "
        "`cached_tokens`, or 0?",
    ),
)
def what_an_answer_costs(answers):
    cost = answers.function("cost")
    for usage, expected, question in BILLS:
        said = cost(dict(PRICE), deepcopy(usage))
        told = {key: value for key, value in usage.items() if key != "total_tokens"}
        if isinstance(said, float) and abs(said - float(expected)) < 1e-12:
            raise NotYet(
                f"for {told} expected Decimal('{expected}'), got the float {said}. Where did the Decimal go?"
            )
        if not isinstance(said, Decimal | int) or said != Decimal(expected):
            raise NotYet(f"for {told} expected {expected} dollars, got {shown(said)}. {question}")
    return "three kinds of tokens, three prices, and nothing is lost in the rounding."


# --- 14.4


def fresh(limit: int = 1000) -> dict:
    return {"limit": limit, "spent": 0, "open": {}}


def expect(found: object, expected: object, what: str, question: str) -> None:
    if found != expected or type(found) is not type(expected):
        raise NotYet(f"{what}: got {shown(found)}, expected {expected}. {question}")


@exercise(
    "14.4",
    hints=(
        "What is taken already: what is spent, and `sum(wallet['open'].values())`. What else must fit?",
        "`settle` adds what was used, and not what was reserved. What is to become of the reservation?",
        "`wallet['open'].pop(id, None)` takes one out, and is None where there was none. What then?",
    ),
)
def a_deposit(answers):
    reserve, settle = answers.function("reserve"), answers.function("settle")
    wallet = fresh()
    expect(reserve(wallet, "a", 400), True, "400 of 1000, nothing spent", "Is there room?")
    expect(reserve(wallet, "b", 600), True, "600 more, which fit exactly", "Is it `<` or `<=`?")
    expect(reserve(wallet, "c", 1), False, "1 more, with 1000 reserved", "Do reservations count as taken?")
    expect(
        (wallet["spent"], dict(wallet["open"])),
        (0, {"a": 400, "b": 600}),
        "`spent` and `open` after two were let in and one refused",
        "What is noted, and when?",
    )
    settle(wallet, "a", 50)
    expect(wallet["spent"], 50, "`spent` after a reservation of 400 that used 50", "What is paid for?")
    expect(reserve(wallet, "d", 350), True, "350, after 350 were not used", "What became of the reservation?")
    expect(reserve(wallet, "e", 1), False, "1 more", "What is spent, and what is reserved now?")
    settle(wallet, "a", 50)
    expect(wallet["spent"], 50, "`spent` after the same was settled twice", "Was it still open?")
    settle(wallet, "c", 70)
    expect(wallet["spent"], 50, "`spent` after one was settled that had been refused", "Was it ever open?")
    settle(wallet, "b", 0)
    expect(wallet["spent"], 50, "`spent` after one that computed nothing", "How much did it use?")
    expect(sorted(wallet["open"]), ["d"], "what is open at the end", "Which have ended?")
    chance, wallet, paid, number = random.Random(14), fresh(), 0, 0
    while number < 500:
        number += 1
        if chance.random() < 0.6:
            reserve(wallet, number, chance.randint(1, 300))
        elif wallet["open"]:
            id = chance.choice(list(wallet["open"]))
            used = chance.randint(0, wallet["open"][id])
            settle(wallet, id, used)
            paid += used
        if wallet["spent"] > 1000 or wallet["spent"] != paid:
            raise NotYet(
                f"after {number} calls `spent` is {wallet['spent']}, expected {paid}, and never more than "
                "1000. Who was let in?"
            )
    return "never over the limit, whoever asks at once, and nobody pays for what was not computed."
