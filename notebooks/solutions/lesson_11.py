"""Solutions of lesson 11, by exercise."""
# ruff: noqa (the names are the notebook's)

# %% 11.1
import hashlib


def key(tenant, name, version, rows):
    # JSON quotes every text and brackets every row, so that no two questions look alike; a float is written
    # with all the digits that tell it from its neighbours.
    numbers = [[float(number) for number in row] for row in rows]
    asked = json.dumps([tenant, name, version, numbers])
    return hashlib.sha256(asked.encode()).hexdigest()


# %% 11.2
from concurrent.futures import Future


def once(flights, key, compute):
    mine = Future()
    flight = flights.setdefault(key, mine)  # looks and writes in one step: for one thread it is its own
    if flight is not mine:
        try:
            return flight.result()
        except Exception:
            return compute()  # the first one's error is not mine
    try:
        value = compute()
        mine.set_result(value)
        return value
    except BaseException as error:
        mine.set_exception(error)  # or those who wait would do so for ever
        raise
    finally:
        del flights[key]  # a flight is no cache: who comes later looks anew


# %% 11.3
def ask(state, question, now, pause):
    if now < state.get("until", now):
        return None  # away, as far as anybody knows: not asking costs nothing
    try:
        return question()
    except (OSError, redis.RedisError):  # redis.TimeoutError is none of Python's own
        state["until"] = now + pause
        return None


# %% 11.4
def claim(db, number, now, lease):
    # The question stands in the UPDATE itself, so that nobody comes between looking and writing.
    found = db.execute(
        "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = ?"
        " WHERE number = ? AND (state = 'waiting' OR state = 'running' AND lease_until <= ?)"
        " RETURNING attempt",
        (now + lease, number, now),
    ).fetchone()
    return found[0] if found else None


def finish(db, number, attempt, result):
    # Whoever was thought dead has an old attempt, and changes no row.
    changed = db.execute(
        "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND state = 'running' AND attempt = ?",
        (result, number, attempt),
    )
    return changed.rowcount == 1
