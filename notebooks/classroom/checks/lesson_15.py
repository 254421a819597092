"""The checks of lesson 15. No check measures time, and none needs a language model."""

import math
import warnings

import numpy as np

from ..exercises import NotYet, exercise, shown

# --- 15.1

BLOCK = 32


def weights_for(bits: int) -> np.ndarray:
    """Five blocks: the second is all zeros, the third has a weight that is far from the rest, and in the
    fourth the largest is negative; in the fifth, much is just below half a step."""
    chance = np.random.default_rng(bits)
    found = chance.normal(0, 0.05, (5, BLOCK)).astype(np.float32)
    found[1] = 0
    found[2, 7] = 40
    found[3, 5] = -3 * np.abs(found[3]).max()
    most = 2 ** (bits - 1) - 1
    found[4] = np.resize([0.1, 0.3, 0.49, -0.49], BLOCK)
    found[4, 0] = most
    return found.ravel()


@exercise(
    "15.1",
    hints=(
        "Which `reshape` makes rows of 32 of a long row, and what does `axis=1, keepdims=True` do to `max`?",
        "What is the largest weight of a block of zeros, and what comes of a division by it? Which number "
        "could `np.where` put in its place?",
        "Each row of 32 has a scale. What does `weights / scales` do for shapes (n, 32) and (n, 1)?",
    ),
)
def a_scale_for_every_block(answers):
    quantise_blocks = answers.function("quantise_blocks")
    for bits in (8, 4):
        weights, most = weights_for(bits), 2 ** (bits - 1) - 1
        given = weights.copy()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            said = quantise_blocks(given, bits)
        if not isinstance(said, tuple) or len(said) != 2:
            raise NotYet(f"expected two things, `codes` and `scales`, got {shown(said)}. What is returned?")
        if not np.array_equal(given, weights):
            raise NotYet("your function changed the weights that it was given. Who else needs them?")
        codes, scales = np.asarray(said[0]), np.asarray(said[1])
        if codes.shape != (5, BLOCK):
            raise NotYet(
                f"for 160 weights `codes` has the shape {codes.shape}, expected (5, 32): a row for each "
                "block. What makes rows of a long row?"
            )
        if scales.size == 1:
            raise NotYet("there is one scale for all five blocks, expected one for each. Along which axis?")
        if scales.shape != (5, 1):
            raise NotYet(
                f"`scales` has the shape {scales.shape}, expected (5, 1), so that `codes * scales` puts each "
                "block in its place. What does `keepdims` keep?"
            )
        divided = any(issubclass(one.category, RuntimeWarning) for one in warned)
        if divided or not np.isfinite(scales).all():
            raise NotYet(
                "the second block is all zeros, and something was divided by zero there; expected codes of "
                "0, and no warning. Which scale could a block of zeros have?"
            )
        blocks = weights.reshape(5, BLOCK)
        steps = np.abs(blocks).max(axis=1, keepdims=True) / most
        if (scales < steps * 0.99).any():
            worst = int((scales / np.maximum(steps, 1e-9)).argmin())
            raise NotYet(
                f"with {bits} bits the scale of block {worst + 1} is {scales[worst, 0]:.4g}, expected "
                f"{steps[worst, 0]:.4g}. Is the largest weight of a block always positive?"
            )
        if codes.dtype != np.int8:
            raise NotYet(f"`codes` are {codes.dtype}, expected int8. In which type does a code take a byte?")
        error = np.abs(blocks - codes * scales).max(axis=1)
        for number, (wrong, step) in enumerate(zip(error, steps[:, 0], strict=True), 1):
            if wrong <= step / 2 * 1.001:
                continue
            if number == 2:
                raise NotYet(f"a block of zeros comes back as {wrong:g}, expected 0. What are its codes?")
            if wrong <= step * 1.001:
                question = "A code is the whole number next to weight / scale. Does yours cut off?"
            else:
                question = f"The largest of them is {np.abs(blocks[number - 1]).max():.3g}. What is its code?"
            raise NotYet(
                f"with {bits} bits, a weight of block {number} comes back wrong by {wrong:.4g}, expected "
                f"half a step at most, {step / 2:.4g}. {question}"
            )
    return "each block has its own step, and no weight is off by more than half of it."


# --- 15.2

TEXTS = (
    ([math.log(0.1)] * 7, "of seven tokens with a probability of 0.1 each", 10.0),
    ([0.0, 0.0], "of two tokens that are certain", 1.0),
    ([math.log(0.5), math.log(0.125)], "of two tokens with probabilities of 0.5 and 0.125", 4.0),
    ([math.log(0.05)] * 5000, "of 5,000 tokens with a probability of 0.05 each", 20.0),
)


@exercise(
    "15.2",
    hints=(
        "Of what is the mean taken: of the probabilities, or of their logarithms?",
        "A logarithm of a probability is negative. What has to be done, so that the exponent is positive?",
        "These are natural logarithms. Which function takes them back?",
    ),
)
def how_unsure(answers):
    perplexity = answers.function("perplexity")
    for logprobs, name, expected in TEXTS:
        said = perplexity(list(logprobs))
        if said is None:
            raise NotYet("expected a number, got None. Does your function end in a `return`?")
        if isinstance(said, (int, float, np.floating)) and math.isclose(said, expected, rel_tol=1e-6):
            continue
        mean = sum(logprobs) / len(logprobs)
        likely = {
            math.exp(mean): "That is below 1: the more unsure, the smaller. Which sign has the exponent?",
            -mean: "That is the mean of the logarithms. What takes a logarithm back?",
            2**-mean: "That is a power of 2. Of which number are natural logarithms the exponents?",
            len(logprobs) / sum(map(math.exp, logprobs)): "That comes of the mean of the probabilities. What "
            "multiplies the probabilities of a whole text?",
        }
        question = next(
            (why for value, why in likely.items() if _close(said, value)),
            "What is the mean of the logarithms here, and what does `exp` make of its negative?",
        )
        if isinstance(said, (int, float, np.floating)) and (math.isinf(said) or said > 1e100):
            question = (
                "Added up instead of averaged, or multiplied, it leaves what a float can hold. Which is it?"
            )
        raise NotYet(f"the perplexity {name} came out as {shown(said)}, expected {expected:g}. {question}")
    return "as many tokens as the model would have to guess among."


def _close(said, value: float) -> bool:
    return isinstance(said, (int, float, np.floating)) and math.isclose(said, value, rel_tol=1e-6)


# --- 15.3

SCORES = (2.0, -1.0, 0.5, -3.0, 4.0)


@exercise(
    "15.3",
    hints=(
        "What does dividing by 1.3 do to 2.0, and what to -1.0? Which of them has become more likely?",
        "How do you make a negative number smaller with a factor above 1?",
        "What does `set(seen)` leave of `seen`, and what does `scores.copy()` save the caller from?",
    ),
)
def never_a_reward(answers):
    penalise = answers.function("penalise")
    for seen, penalty in (
        ([], 1.3),
        ([0, 3], 1.0),
        ([0], 2.0),
        ([1], 2.0),
        ([3, 1, 4], 1.25),
        ([0, 0, 0], 2.0),
    ):
        scores = np.array(SCORES)
        said = penalise(scores, list(seen), penalty)
        case = f"of scores {list(SCORES)}, seen {seen}, penalty {penalty}"
        if not np.array_equal(scores, SCORES):
            raise NotYet(f"{case}, your function changed the scores that it was given. Who else reads them?")
        if said is None:
            raise NotYet("expected an array, got None. Does your function end in a `return`?")
        said = np.asarray(said, float)
        if said.shape != scores.shape:
            raise NotYet(
                f"{case}, the answer has the shape {said.shape}, expected {scores.shape}. For how many "
                "tokens is it?"
            )
        wanted = scores.copy()
        for token in set(seen):
            wanted[token] = wanted[token] / penalty if wanted[token] > 0 else wanted[token] * penalty
        for token, (found, expected, before) in enumerate(zip(said, wanted, scores, strict=True)):
            if math.isclose(found, expected, rel_tol=1e-9):
                continue
            if token not in seen:
                question = "It was not seen. Whose scores change?"
            elif found > before:
                question = (
                    "It was seen, and has become more likely. What does your factor do to a negative score?"
                )
            elif seen.count(token) > 1:
                question = f"It was seen {seen.count(token)} times. How often is it penalised?"
            else:
                question = "By which factor does the score of a token that was seen change?"
            raise NotYet(
                f"{case}, the score of token {token} became {found:g}, expected {expected:g}. {question}"
            )
    return "who was seen becomes less likely, whichever sign its score has, and nobody else is touched."


# --- 15.4

LLAMA_2 = {"weights": 6.74e9, "layers": 32, "kv_heads": 32, "head_size": 128}
MISTRAL = {"weights": 7.24e9, "layers": 32, "kv_heads": 8, "head_size": 128}
SMOLLM2 = {"weights": 0.1345e9, "layers": 30, "kv_heads": 3, "head_size": 64}


def gigabytes(model: dict, bits: float, context: int, users: int) -> float:
    token = 2 * model["layers"] * model["kv_heads"] * model["head_size"] * 2
    return (model["weights"] * bits / 8 + token * context * users) / 1e9


@exercise(
    "15.4",
    hints=(
        "How many bytes are `bits` bits, and how many weights have them?",
        "For each token, each layer and each of its heads keeps two vectors of `head_size` numbers. How many "
        "bytes has a number of 16 bits?",
        "For how many tokens is there room, if each user may have `context` of them? And how many bytes are "
        "a GB?",
    ),
)
def does_it_fit(answers):
    memory = answers.function("memory")
    for name, model, bits, context, users in (
        ("Llama 2 7B without a user", LLAMA_2, 16, 4096, 0),
        ("Llama 2 7B", LLAMA_2, 16, 4096, 1),
        ("Llama 2 7B", LLAMA_2, 4, 4096, 8),
        ("Mistral 7B", MISTRAL, 8, 8192, 16),
        ("SmolLM2", SMOLLM2, 5, 2048, 4),
    ):
        said = memory(**model, bits=bits, context=context, users=users)
        expected = gigabytes(model, bits, context, users)
        case = f"{name} in {bits} bits, {users} users with {context} tokens each"
        if said is None:
            raise NotYet("expected a number, got None. Does your function end in a `return`?")
        if isinstance(said, (int, float, np.floating)) and math.isclose(said, expected, rel_tol=1e-3):
            continue
        stored = model["weights"] * bits / 8 / 1e9
        cache = expected - stored
        likely = (
            (
                stored + cache / 2,
                "Half of the cache is missing. What is kept for each token: keys, and what else?",
            ),
            (expected * 1e9, "Those are bytes. How many of them are a GB?"),
            (expected * 1e9 / 2**30, "Those are GiB, of 2^30 bytes. How many bytes are a GB?"),
            (stored * 8 + cache, "Your weights take a byte for each bit. How many bits are a byte?"),
            (stored + cache / max(users, 1), "That is for one user. How many are there at a time?"),
            (
                stored + cache * bits / 16,
                "Your cache has as few bits as the weights. How many bits has its number?",
            ),
            (stored + cache * 4, "Is the cache counted in bits, or in bytes?"),
            (stored, "That is the weights alone. What is kept for each token of a context?"),
            (stored + cache / model["layers"], "That is the cache of one layer. How many are there?"),
        )
        question = next(
            (why for value, why in likely if value != expected and _near(said, value)),
            f"The weights alone take {stored:.2f}. What is left for the cache?",
        )
        raise NotYet(f"{case}: {shown(said)}, expected {expected:.2f} GB. {question}")
    full, four = (gigabytes(LLAMA_2, bits, 4096, 8) for bits in (16, 4))
    return (
        f"Llama 2 7B with eight users of 4,096 tokens takes {full:.1f} GB in 16 bits and {four:.1f} in 4: a "
        "card with 24 GB holds the second, and most of it is the cache. Mistral 7B has a quarter of that "
        f"cache: {gigabytes(MISTRAL, 4, 4096, 8):.1f} GB in 4 bits, for a card with 16."
    )


def _near(said, value: float) -> bool:
    return isinstance(said, (int, float, np.floating)) and math.isclose(said, value, rel_tol=1e-3)
