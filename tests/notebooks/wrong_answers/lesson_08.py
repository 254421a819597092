"""Known wrong answers of lesson 08: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)


# %% 8.1 | That is what the part gains
def gain(costs, part, factor):
    return factor


# %% 8.1 | Which way round is a gain
def gain(costs, part, factor):
    before = sum(costs.values())
    return (before - costs[part] + costs[part] / factor) / before


# %% 8.1 | You took the part away entirely
def gain(costs, part, factor):
    before = sum(costs.values())
    return before / (before - costs[part])


# %% 8.1 | Those are microseconds after the change
def gain(costs, part, factor):
    return sum(cost / factor if name == part else cost for name, cost in costs.items())


# %% 8.1 | changed the dictionary it was given
def gain(costs, part, factor):
    before = sum(costs.values())
    costs[part] /= factor
    return before / sum(costs.values())


# %% 8.1 | expected a number, got None
def gain(costs, part, factor):
    print(sum(costs.values()))


# %% 8.2 | ran in the event loop's own thread
async def answer(predict, row):
    labels = predict([row])
    await asyncio.sleep(0)
    return labels[0]


# %% 8.2 | predictions ran at the same time, expected 2
from concurrent.futures import ThreadPoolExecutor


async def answer(predict, row):
    pool = ThreadPoolExecutor(2)
    labels = await asyncio.get_running_loop().run_in_executor(pool, predict, [row])
    return labels[0]


# %% 8.2 | ran one at a time, expected 2 at once
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)


async def answer(predict, row):
    labels = await asyncio.get_running_loop().run_in_executor(pool, predict, [row])
    return labels[0]


# %% 8.2 | still has to be awaited
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)


async def answer(predict, row):
    return asyncio.get_running_loop().run_in_executor(pool, predict, [row])


# %% 8.2 | `predict` gives a list
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)


async def answer(predict, row):
    return await asyncio.get_running_loop().run_in_executor(pool, predict, [row])


# %% 8.2 | expected an `async def`
def answer(predict, row):
    return predict([row])[0] + 0


# %% 8.2 | raised TypeError
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)


async def answer(predict, row):
    return await asyncio.get_running_loop().run_in_executor(pool, predict([row])[0])


# %% 8.3 | What was the batch for
def answer_each(rows, predict):
    answers = []
    for row in rows:
        try:
            answers.append(predict([row])[0])
        except Exception as error:
            answers.append(error)
    return answers


# %% 8.3 | Whose error is that
def answer_each(rows, predict):
    try:
        return predict(rows) if rows else []
    except Exception as error:
        return [error] * len(rows)


# %% 8.3 | Who gets none
def answer_each(rows, predict):
    try:
        return predict(rows) if rows else []
    except Exception:
        answers = []
        for row in rows:
            try:
                answers.append(predict([row])[0])
            except Exception:
                pass
        return answers


# %% 8.3 | expected an exception. Where did it go
def answer_each(rows, predict):
    def alone(row):
        try:
            return predict([row])[0]
        except Exception:
            return None

    try:
        return predict(rows) if rows else []
    except Exception:
        return [alone(row) for row in rows]


# %% 8.3 | got another row's error
def answer_each(rows, predict):
    def alone(row, error):
        try:
            return predict([row])[0]
        except Exception:
            return error

    try:
        return predict(rows) if rows else []
    except Exception as error:
        return [alone(row, error) for row in rows]


# %% 8.3 | raised Bad
def answer_each(rows, predict):
    return predict(rows) if rows else []


# %% 8.3 | for 0 good rows `predict` was called 1 times
def answer_each(rows, predict):
    def alone(row):
        try:
            return predict([row])[0]
        except Exception as error:
            return error

    try:
        return predict(rows)
    except Exception:
        return [alone(row) for row in rows]


# %% 8.4 | How often is `predict` called now
from concurrent.futures import ThreadPoolExecutor

NAMES = ["setosa", "versicolor", "virginica"]


def names_of(rows):
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda row: NAMES[model.predict([row])[0]], rows))


# %% 8.4 | expected names, got
def names_of(rows):
    return model.predict(rows).tolist()


# %% 8.4 | the right ones in another order
NAMES = ["setosa", "versicolor", "virginica"]


def names_of(rows):
    return sorted(NAMES[label] for label in model.predict(rows))


# %% 8.4 | got 3 names
NAMES = ["setosa", "versicolor", "virginica"]


def names_of(rows):
    return [NAMES[label] for label in set(model.predict(rows))]


# %% 8.4 | Can json.dumps write that
import numpy as np

NAMES = np.array(["setosa", "versicolor", "virginica"])


def names_of(rows):
    return NAMES[model.predict(rows)]


# %% 8.4 | expected a list of names, got None
NAMES = ["setosa", "versicolor", "virginica"]


def names_of(rows):
    print([NAMES[label] for label in model.predict(rows)])
