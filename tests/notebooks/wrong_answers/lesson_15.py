"""Known wrong answers of lesson 15: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)


# %% 15.1 | one scale for all five blocks
def quantise_blocks(weights, bits):
    most = 2 ** (bits - 1) - 1
    blocks = weights.reshape(-1, 32)
    scale = np.abs(blocks).max() / most
    return np.round(blocks / scale).astype(np.int8), np.array(scale)


# %% 15.1 | something was divided by zero there
def quantise_blocks(weights, bits):
    most = 2 ** (bits - 1) - 1
    blocks = weights.reshape(-1, 32)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / most
    return np.round(blocks / scales).astype(np.int8), scales


# %% 15.1 | Does yours cut off
def quantise_blocks(weights, bits):
    most = 2 ** (bits - 1) - 1
    blocks = weights.reshape(-1, 32)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / most
    steps = np.where(scales > 0, scales, 1)
    return (blocks / steps).astype(np.int8), scales


# %% 15.1 | Is the largest weight of a block always positive
def quantise_blocks(weights, bits):
    most = 2 ** (bits - 1) - 1
    blocks = weights.reshape(-1, 32)
    scales = blocks.max(axis=1, keepdims=True) / most
    steps = np.where(scales > 0, scales, 1)
    return np.round(blocks / steps).astype(np.int8), scales


# %% 15.1 | expected (5, 32)
def quantise_blocks(weights, bits):
    most = 2 ** (bits - 1) - 1
    blocks = weights.reshape(-1, 32)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / most
    steps = np.where(scales > 0, scales, 1)
    return np.round(blocks / steps).astype(np.int8).ravel(), scales


# %% 15.1 | What does `keepdims` keep
def quantise_blocks(weights, bits):
    most = 2 ** (bits - 1) - 1
    blocks = weights.reshape(-1, 32)
    scales = np.abs(blocks).max(axis=1) / most
    steps = np.where(scales > 0, scales, 1)
    return np.round(blocks / steps[:, None]).astype(np.int8), scales


# %% 15.2 | Which sign has the exponent
def perplexity(logprobs):
    return np.exp(np.mean(logprobs))


# %% 15.2 | That comes of the mean of the probabilities
def perplexity(logprobs):
    return 1 / np.mean(np.exp(logprobs))


# %% 15.2 | That is a power of 2
def perplexity(logprobs):
    return 2 ** -np.mean(logprobs)


# %% 15.2 | expected 10
def perplexity(logprobs):
    return np.exp(-np.sum(logprobs))


# %% 15.2 | Added up instead of averaged, or multiplied
def perplexity(logprobs):
    return (
        float(1 / np.prod(np.exp(np.longdouble(logprobs)))) ** (1 / len(logprobs))
        if len(logprobs) < 999
        else float("inf")
    )


# %% 15.3 | What does your factor do to a negative score
def penalise(scores, seen, penalty):
    scores = scores.copy()
    scores[list(set(seen))] /= penalty
    return scores


# %% 15.3 | How often is it penalised
def penalise(scores, seen, penalty):
    scores = scores.copy()
    for token in seen:
        scores[token] = scores[token] / penalty if scores[token] > 0 else scores[token] * penalty
    return scores


# %% 15.3 | Who else reads them
def penalise(scores, seen, penalty):
    for token in set(seen):
        scores[token] = scores[token] / penalty if scores[token] > 0 else scores[token] * penalty
    return scores


# %% 15.3 | Whose scores change
def penalise(scores, seen, penalty):
    return np.where(scores > 0, scores / penalty, scores * penalty)


# %% 15.4 | keys, and what else
def memory(weights, bits, layers, kv_heads, head_size, context, users):
    token = layers * kv_heads * head_size * 2
    return (weights * bits / 8 + token * context * users) / 1e9


# %% 15.4 | How many bits are a byte
def memory(weights, bits, layers, kv_heads, head_size, context, users):
    token = 2 * layers * kv_heads * head_size * 2
    return (weights * bits + token * context * users) / 1e9


# %% 15.4 | That is for one user
def memory(weights, bits, layers, kv_heads, head_size, context, users):
    token = 2 * layers * kv_heads * head_size * 2
    return (weights * bits / 8 + token * context * min(users, 1)) / 1e9


# %% 15.4 | as few bits as the weights
def memory(weights, bits, layers, kv_heads, head_size, context, users):
    token = 2 * layers * kv_heads * head_size * bits / 8
    return (weights * bits / 8 + token * context * users) / 1e9


# %% 15.4 | Those are GiB
def memory(weights, bits, layers, kv_heads, head_size, context, users):
    token = 2 * layers * kv_heads * head_size * 2
    return (weights * bits / 8 + token * context * users) / 2**30


# %% 15.4 | That is the weights alone
def memory(weights, bits, layers, kv_heads, head_size, context, users):
    return weights * bits / 8 / 1e9
