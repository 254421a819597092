"""Solutions of lesson 15, by exercise."""
# ruff: noqa (the names are the notebook's)


# %% 15.1
def quantise_blocks(weights, bits):
    most = 2 ** (bits - 1) - 1
    blocks = weights.reshape(-1, 32)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / most
    steps = np.where(scales > 0, scales, 1)  # a block of zeros has no step; by 1, its codes are 0
    return np.round(blocks / steps).astype(np.int8), scales


# %% 15.2
def perplexity(logprobs):
    # The mean first: the sum of thousands of logarithms, taken back, is too large for a float.
    return np.exp(-np.mean(logprobs))


# %% 15.3
def penalise(scores, seen, penalty):
    scores = scores.copy()  # they are the caller's
    seen = list(set(seen))  # each once, however often it was there
    # Divided, a negative score would go up.
    scores[seen] = np.where(scores[seen] > 0, scores[seen] / penalty, scores[seen] * penalty)
    return scores


# %% 15.4
def memory(weights, bits, layers, kv_heads, head_size, context, users):
    token = 2 * layers * kv_heads * head_size * 2  # a key and a value, with two bytes for each number
    return (weights * bits / 8 + token * context * users) / 1e9
