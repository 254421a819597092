"""Known wrong answers of lesson 14: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)


# %% 14.1 | finds('ham', 'A slice of HAM, please') gave False, expected True
def finds(word, text):
    return word in text


# %% 14.1 | finds('ham', 'Birmingham') gave True, expected False. What stands before the word?
def finds(word, text):
    return word in text.lower()


# %% 14.1 | That is in full width
def finds(word, text):
    return re.search(rf"\b{word}\b", text.lower()) is not None


# %% 14.1 | A character that nobody sees is in it
def finds(word, text):
    text = unicodedata.normalize("NFKC", text).lower()
    return re.search(rf"\b{word}\b", text) is not None


# %% 14.1 | Its а is Cyrillic
from apps.service.generation.moderation.characters import cleaned


def finds(word, text):
    return re.search(rf"\b{word}\b", cleaned(text)[0].lower()) is not None


# %% 14.1 | Which letters does LOOKS know, and when is it asked
from apps.service.generation.moderation.characters import cleaned

LOOKS = str.maketrans({"\u0430": "a", "\u043c": "m", "@": "a"})


def finds(word, text):
    return re.search(rf"\b{word}\b", cleaned(text)[0].translate(LOOKS).lower()) is not None


# %% 14.1 | One sign stands between each two letters
from apps.service.generation.moderation.characters import cleaned

LOOKS = str.maketrans({"\u0430": "a", "\u043c": "m", "@": "a"})


def finds(word, text):
    return re.search(rf"\b{word}\b", cleaned(text)[0].lower().translate(LOOKS)) is not None


# %% 14.1 | Is an underscore one of
from apps.service.generation.moderation.characters import cleaned

LOOKS = str.maketrans({"\u0430": "a", "\u043c": "m", "@": "a"})


def finds(word, text):
    spelled = r"\W{1,3}".join(word)
    return re.search(rf"\b(?:{word}|{spelled})\b", cleaned(text)[0].lower().translate(LOOKS)) is not None


# %% 14.1 | An underscore is no letter
from apps.service.generation.moderation.characters import cleaned

LOOKS = str.maketrans({"\u0430": "a", "\u043c": "m", "@": "a"})


def finds(word, text):
    spelled = r"[\W_]{1,3}".join(word)
    return re.search(rf"\b(?:{word}|{spelled})\b", cleaned(text)[0].lower().translate(LOOKS)) is not None


# %% 14.1 | Four signs stand between
from apps.service.generation.moderation.characters import cleaned

LOOKS = str.maketrans({"\u0430": "a", "\u043c": "m", "@": "a"})


def finds(word, text):
    text = cleaned(text)[0].lower().translate(LOOKS)
    pattern = r"[\W_]*".join(word)
    return re.search(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", text) is not None


# %% 14.1 | Between which letters must something
from apps.service.generation.moderation.characters import cleaned

LOOKS = str.maketrans({"\u0430": "a", "\u043c": "m", "@": "a"})


def finds(word, text):
    text = cleaned(text)[0].lower().translate(LOOKS)
    pattern = r"[\W_]{0,3}".join(word)
    return re.search(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", text) is not None


# %% 14.1 | Which word does your function look for
def finds(word, text):
    return re.search(r"\bham\b", text.lower()) is not None


# %% 14.2 | kept('some ha', ['ham']) gave 0, expected 2
def kept(text, words):
    return 0


# %% 14.2 | kept('some han', ['ham']) gave 2, expected 0
def kept(text, words):
    return max(map(len, words)) - 1


# %% 14.2 | Capitals count, too
def kept(text, words):
    return max((n for word in words for n in range(1, len(word)) if text.endswith(word[:n])), default=0)


# %% 14.2 | A single letter may be a beginning
def kept(text, words):
    text = text.lower()
    return max((n for word in words for n in range(2, len(word)) if text.endswith(word[:n])), default=0)


# %% 14.2 | Do you look at all of them
def kept(text, words):
    word, text = words[0], text.lower()
    return max((n for n in range(1, len(word)) if text.endswith(word[:n])), default=0)


# %% 14.2 | *co* and *coco* are beginnings
def kept(text, words):
    text = text.lower()
    counts = []
    for word in words:
        for n in range(1, len(word)):
            if text.endswith(word[:n]):
                counts.append(n)
                break
    return max(counts, default=0)


# %% 14.2 | gave 3, expected 0
def kept(text, words):
    text = text.lower()
    starts = [text.find(word[0]) for word in words if word[0] in text]
    return len(text) - min(starts) if starts else 0


# %% 14.2 | gave None, expected 0
def kept(text, words):
    fitting = [n for word in words for n in range(1, len(word)) if text.lower().endswith(word[:n])]
    if fitting:
        return max(fitting)


# %% 14.2 | raised ValueError
def kept(text, words):
    return max(n for word in words for n in range(1, len(word)) if text.lower().endswith(word[:n]))


# %% 14.3 | A price is for how many tokens
def cost(price, usage):
    return usage["prompt_tokens"] * price["prompt"] + usage["completion_tokens"] * price["completion"]


# %% 14.3 | Which price has what the model writes
def cost(price, usage):
    return usage["total_tokens"] * price["prompt"] / 1_000_000


# %% 14.3 | 1000 of the 1200 were cached
def cost(price, usage):
    total = usage["prompt_tokens"] * price["prompt"] + usage["completion_tokens"] * price["completion"]
    return total / 1_000_000


# %% 14.3 | How many are left at the full price
def cost(price, usage):
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    total = usage["prompt_tokens"] * price["prompt"] + cached * price["cached"]
    return (total + usage["completion_tokens"] * price["completion"]) / 1_000_000


# %% 14.3 | raised KeyError
def cost(price, usage):
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    total = (usage["prompt_tokens"] - cached) * price["prompt"] + cached * price["cached"]
    return (total + usage["completion_tokens"] * price["completion"]) / 1_000_000


# %% 14.3 | raised AttributeError
def cost(price, usage):
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    total = (usage["prompt_tokens"] - cached) * price["prompt"] + cached * price["cached"]
    return (total + usage["completion_tokens"] * price["completion"]) / 1_000_000


# %% 14.3 | Where did the Decimal go
def cost(price, usage):
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    total = (usage["prompt_tokens"] - cached) * price["prompt"] + cached * price["cached"]
    return float(total + usage["completion_tokens"] * price["completion"]) / 1_000_000


# %% 14.3 | Do you round
def cost(price, usage):
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    total = (usage["prompt_tokens"] - cached) * price["prompt"] + cached * price["cached"]
    return round((total + usage["completion_tokens"] * price["completion"]) / 1_000_000, 6)


# %% 14.4 | Do reservations count as taken
def reserve(wallet, id, most):
    if wallet["spent"] + most > wallet["limit"]:
        return False
    wallet["open"][id] = most
    return True


def settle(wallet, id, used):
    if wallet["open"].pop(id, None) is not None:
        wallet["spent"] += used


# %% 14.4 | Is it `<` or `<=`
def reserve(wallet, id, most):
    if wallet["spent"] + sum(wallet["open"].values()) + most >= wallet["limit"]:
        return False
    wallet["open"][id] = most
    return True


def settle(wallet, id, used):
    if wallet["open"].pop(id, None) is not None:
        wallet["spent"] += used


# %% 14.4 | What is noted, and when
def reserve(wallet, id, most):
    taken = wallet["spent"] + sum(wallet["open"].values())
    wallet["open"][id] = most
    return taken + most <= wallet["limit"]


def settle(wallet, id, used):
    if wallet["open"].pop(id, None) is not None:
        wallet["spent"] += used


# %% 14.4 | What is paid for
def reserve(wallet, id, most):
    if wallet["spent"] + sum(wallet["open"].values()) + most > wallet["limit"]:
        return False
    wallet["open"][id] = most
    return True


def settle(wallet, id, used):
    wallet["spent"] += wallet["open"].pop(id, 0)


# %% 14.4 | What became of the reservation
def reserve(wallet, id, most):
    if wallet["spent"] + sum(wallet["open"].values()) + most > wallet["limit"]:
        return False
    wallet["open"][id] = most
    return True


def settle(wallet, id, used):
    if id in wallet["open"]:
        wallet["spent"] += used


# %% 14.4 | Was it still open
def reserve(wallet, id, most):
    if wallet["spent"] + sum(wallet["open"].values()) + most > wallet["limit"]:
        return False
    wallet["open"][id] = most
    return True


def settle(wallet, id, used):
    wallet["open"].pop(id, None)
    wallet["spent"] += used


# %% 14.4 | got None, expected True
def reserve(wallet, id, most):
    if wallet["spent"] + sum(wallet["open"].values()) + most <= wallet["limit"]:
        wallet["open"][id] = most


def settle(wallet, id, used):
    if wallet["open"].pop(id, None) is not None:
        wallet["spent"] += used


# %% 14.4 | raised KeyError
def reserve(wallet, id, most):
    if wallet["spent"] + sum(wallet["open"].values()) + most > wallet["limit"]:
        return False
    wallet["open"][id] = most
    return True


def settle(wallet, id, used):
    del wallet["open"][id]
    wallet["spent"] += used
