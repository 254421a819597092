"""Solutions of lesson 14, by exercise."""
# ruff: noqa (the names are the notebook's)

# %% 14.1
from apps.service.generation.moderation.characters import cleaned

LOOKS = str.maketrans({"\u0430": "a", "\u043c": "m", "@": "a"})


def finds(word, text):
    # Small letters before LOOKS, which knows no capitals.
    text = cleaned(text)[0].lower().translate(LOOKS)
    between = r"[\W_]{1,3}"
    # `\b` will not do: for it, an underscore is a letter.
    pattern = rf"(?<![^\W_])(?:{word}|{between.join(word)})(?![^\W_])"
    return re.search(pattern, text) is not None


# %% 14.2
def kept(text, words):
    # The longest end that is a beginning: what waits must hold all of what may become a word.
    text = text.lower()
    fitting = (count for word in words for count in range(1, len(word)) if text.endswith(word[:count]))
    return max(fitting, default=0)


# %% 14.3
from decimal import Decimal

price = {"prompt": Decimal("2.00"), "cached": Decimal("0.10"), "completion": Decimal("10.00")}
usage = {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500}


def cost(price, usage):
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    # The cached ones are among the prompt's: they would be paid for twice if they were not taken off.
    anew = usage["prompt_tokens"] - cached
    written = usage["completion_tokens"]
    total = anew * price["prompt"] + cached * price["cached"] + written * price["completion"]
    return total / 1_000_000


# %% 14.4
wallet = {"limit": 1000, "spent": 0, "open": {}}


def reserve(wallet, id, most):
    # What is on its way counts as if it were spent: it may be, soon.
    if wallet["spent"] + sum(wallet["open"].values()) + most > wallet["limit"]:
        return False
    wallet["open"][id] = most
    return True


def settle(wallet, id, used):
    if wallet["open"].pop(id, None) is None:
        return  # refused, or settled before: a bill is paid once
    wallet["spent"] += used
