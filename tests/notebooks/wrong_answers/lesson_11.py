"""Known wrong answers of lesson 11: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)

# %% 11.1 | Which method of a hash gives its digits
import hashlib


def key(tenant, name, version, rows):
    return hashlib.sha256(json.dumps([tenant, name, version, rows]).encode()).digest()


# %% 11.1 | which Python begins anew in each process
def key(tenant, name, version, rows):
    return str(hash((tenant, name, version, str(rows))))


# %% 11.1 | the same question got two keys
import secrets


def key(tenant, name, version, rows):
    return secrets.token_hex(16)


# %% 11.1 | [[5, 3]] and [[5.0, 3.0]] have two keys
import hashlib


def key(tenant, name, version, rows):
    return hashlib.sha256(json.dumps([tenant, name, version, rows]).encode()).hexdigest()


# %% 11.1 | a question for another tenant has the same key
import hashlib


def key(tenant, name, version, rows):
    numbers = [[float(number) for number in row] for row in rows]
    return hashlib.sha256(json.dumps([name, version, numbers]).encode()).hexdigest()


# %% 11.1 | a question of another version has the same key
import hashlib


def key(tenant, name, version, rows):
    numbers = [[float(number) for number in row] for row in rows]
    return hashlib.sha256(json.dumps([tenant, name, numbers]).encode()).hexdigest()


# %% 11.1 | How many digits of a number are in your key
import hashlib


def key(tenant, name, version, rows):
    numbers = [[f"{number:.6f}" for number in row] for row in rows]
    return hashlib.sha256(json.dumps([tenant, name, version, numbers]).encode()).hexdigest()


# %% 11.1 | Where does your key say how long a row is
import hashlib


def key(tenant, name, version, rows):
    numbers = np.array(rows, float).tobytes()
    return hashlib.sha256(json.dumps([tenant, name, version]).encode() + numbers).hexdigest()


# %% 11.1 | with the rows in another order has the same key
import hashlib


def key(tenant, name, version, rows):
    numbers = sorted([float(number) for number in row] for row in rows)
    return hashlib.sha256(json.dumps([tenant, name, version, numbers]).encode()).hexdigest()


# %% 11.1 | ('iris:2', '1') in the place of ('iris', '2:1')
import hashlib


def key(tenant, name, version, rows):
    numbers = json.dumps([[float(number) for number in row] for row in rows])
    return hashlib.sha256(":".join([tenant, name, version, numbers]).encode()).hexdigest()


# %% 11.1 | ('clinic', 'iris-a')
import hashlib


def key(tenant, name, version, rows):
    numbers = json.dumps([[float(number) for number in row] for row in rows])
    return hashlib.sha256("-".join([tenant, name, version, numbers]).encode()).hexdigest()


# %% 11.1 | for 64 rows the key has
def key(tenant, name, version, rows):
    return json.dumps([tenant, name, version, [[float(number) for number in row] for row in rows]])


# %% 11.2 | What did each of them see in `flights`
def once(flights, key, compute):
    return compute()


# %% 11.2 | and 8 computed while the first was at it
from concurrent.futures import Future


def once(flights, key, compute):
    if key in flights:
        return flights[key].result()
    flights[key] = Future()
    value = compute()
    flights[key].set_result(value)
    flights.pop(key, None)
    return value


# %% 11.2 | of them computed all the same
lock = threading.Lock()


def once(flights, key, compute):
    with lock:
        return compute()


# %% 11.2 | of 8 threads that asked for the same key, 7 wait for ever
from concurrent.futures import Future


def once(flights, key, compute):
    mine = Future()
    flight = flights.setdefault(key, mine)
    if flight is not mine:
        return flight.result()
    value = compute()
    del flights[key]
    return value


# %% 11.2 | where `compute()` gives 'an answer' (a str), some got None
def once(flights, key, compute):
    done = threading.Event()
    flight = flights.setdefault(key, done)
    if flight is not done:
        flight.wait()
        return
    try:
        return compute()
    finally:
        done.set()
        del flights[key]


# %% 11.2 | What is locked meanwhile
from concurrent.futures import Future

lock = threading.RLock()


def once(flights, key, compute):
    mine = Future()
    flight = flights.setdefault(key, mine)
    if flight is not mine:
        try:
            return flight.result()
        except Exception:
            return compute()
    with lock:
        try:
            mine.set_result(compute())
        except Exception as error:
            mine.set_exception(error)
        del flights[key]
        return mine.result()


# %% 11.2 | 8 of 8 threads got its error, expected 1
from concurrent.futures import Future


def once(flights, key, compute):
    mine = Future()
    flight = flights.setdefault(key, mine)
    if flight is not mine:
        return flight.result()
    try:
        mine.set_result(compute())
    except Exception as error:
        mine.set_exception(error)
    del flights[key]
    return mine.result()


# %% 11.2 | who had waited got nothing
from concurrent.futures import Future


def once(flights, key, compute):
    mine = Future()
    flight = flights.setdefault(key, mine)
    if flight is not mine:
        try:
            return flight.result()
        except Exception:
            return None
    try:
        mine.set_result(compute())
    except Exception as error:
        mine.set_exception(error)
    del flights[key]
    return mine.result()


# %% 11.2 | Who takes it out where `compute` raises
from concurrent.futures import Future


def once(flights, key, compute):
    mine = Future()
    flight = flights.setdefault(key, mine)
    if flight is not mine:
        try:
            return flight.result()
        except Exception:
            return compute()
    try:
        value = compute()
    except Exception as error:
        mine.set_exception(error)
        raise
    mine.set_result(value)
    del flights[key]
    return value


# %% 11.2 | `flights` had 1 entry left
from concurrent.futures import Future


def once(flights, key, compute):
    mine = Future()
    flight = flights.setdefault(key, mine)
    if flight is not mine:
        try:
            return flight.result()
        except Exception:
            return compute()
    try:
        value = compute()
    except Exception as error:
        del flights[key]
        mine.set_exception(error)
        raise
    mine.set_result(value)
    return value


# %% 11.3 | What makes yours stop asking
def ask(state, question, now, pause):
    if state.get("asked", -pause) + pause > now:
        return None
    state["asked"] = now
    return question()


# %% 11.3 | What do you return where all is well
def ask(state, question, now, pause):
    try:
        question()
    except (OSError, redis.RedisError):
        state["until"] = now + pause


# %% 11.3 | `ask(
def ask(state, question, now, pause):
    return question()


# %% 11.3 | What does your function look at before it asks
def ask(state, question, now, pause):
    try:
        return question()
    except (OSError, redis.RedisError):
        return None


# %% 11.3 | raised TimeoutError: silent
def ask(state, question, now, pause):
    if now < state.get("until", now):
        return None
    try:
        return question()
    except OSError:
        state["until"] = now + pause
        return None


# %% 11.3 | raised OSError: no route
def ask(state, question, now, pause):
    if now < state.get("until", now):
        return None
    try:
        return question()
    except redis.RedisError:
        state["until"] = now + pause
        return None


# %% 11.3 | When may somebody try again
def ask(state, question, now, pause):
    if now <= state.get("until", -1):
        return None
    try:
        return question()
    except (OSError, redis.RedisError):
        state["until"] = now + pause
        return None


# %% 11.3 | expected Redis to be asked and b'back' returned
def ask(state, question, now, pause):
    if "until" in state:
        return None
    try:
        return question()
    except (OSError, redis.RedisError):
        state["until"] = now + pause
        return None


# %% 11.3 | What is left in `state` of the failure
def ask(state, question, now, pause):
    if "until" in state and now != state["until"]:
        return None
    try:
        return question()
    except (OSError, redis.RedisError):
        state["until"] = now + pause
        return None


# %% 11.3 | When does the pause begin anew
def ask(state, question, now, pause):
    if now < state.get("until", now):
        return None
    try:
        return question()
    except (OSError, redis.RedisError):
        state.setdefault("until", now + pause)
        return None


# %% 11.3 | Which errors mean that Redis is away
def ask(state, question, now, pause):
    if now < state.get("until", now):
        return None
    try:
        return question()
    except Exception:
        state["until"] = now + pause
        return None


# %% 11.4 | now both have it
def claim(db, number, now, lease):
    look = "SELECT state, attempt, lease_until FROM pieces WHERE number = ?"
    found = db.execute(look, (number,)).fetchone()
    if found is None or found[0] == "done" or found[0] == "running" and found[2] > now:
        return None
    write = "UPDATE pieces SET state = 'running', attempt = ?, lease_until = ? WHERE number = ?"
    db.execute(write, (found[1] + 1, now + lease, number))
    return found[1] + 1


def finish(db, number, attempt, result):
    write = (
        "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND state = 'running' AND attempt = ?"
    )
    return db.execute(write, (result, number, attempt)).rowcount == 1


# %% 11.4 | When may a piece that runs be taken over
def claim(db, number, now, lease):
    found = db.execute(
        "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = ?"
        " WHERE number = ? AND state != 'done' RETURNING attempt",
        (now + lease, number),
    ).fetchone()
    return found[0] if found else None


def finish(db, number, attempt, result):
    write = (
        "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND state = 'running' AND attempt = ?"
    )
    return db.execute(write, (result, number, attempt)).rowcount == 1


# %% 11.4 | Is a lease that ends now over
def claim(db, number, now, lease):
    found = db.execute(
        "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = ?"
        " WHERE number = ? AND state = 'waiting' RETURNING attempt",
        (now + lease, number),
    ).fetchone()
    return found[0] if found else None


def finish(db, number, attempt, result):
    write = (
        "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND state = 'running' AND attempt = ?"
    )
    return db.execute(write, (result, number, attempt)).rowcount == 1


# %% 11.4 | does the attempt go up
def claim(db, number, now, lease):
    found = db.execute(
        "UPDATE pieces SET state = 'running', attempt = 1, lease_until = ?"
        " WHERE number = ? AND (state = 'waiting' OR state = 'running' AND lease_until <= ?) RETURNING attempt",
        (now + lease, number, now),
    ).fetchone()
    return found[0] if found else None


def finish(db, number, attempt, result):
    write = (
        "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND state = 'running' AND attempt = ?"
    )
    return db.execute(write, (result, number, attempt)).rowcount == 1


# %% 11.4 | gave True, expected 1, the attempt
def claim(db, number, now, lease):
    changed = db.execute(
        "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = ?"
        " WHERE number = ? AND (state = 'waiting' OR state = 'running' AND lease_until <= ?)",
        (now + lease, number, now),
    )
    return True if changed.rowcount else None


def finish(db, number, attempt, result):
    write = (
        "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND state = 'running' AND attempt = ?"
    )
    return db.execute(write, (result, number, attempt)).rowcount == 1


# %% 11.4 | expected running, attempt 1, until 130.0
def claim(db, number, now, lease):
    found = db.execute(
        "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = ?"
        " WHERE number = ? AND (state = 'waiting' OR state = 'running' AND lease_until <= ?) RETURNING attempt",
        (lease, number, now),
    ).fetchone()
    return found[0] if found else None


def finish(db, number, attempt, result):
    write = (
        "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND state = 'running' AND attempt = ?"
    )
    return db.execute(write, (result, number, attempt)).rowcount == 1


# %% 11.4 | Which rows does your WHERE name
def claim(db, number, now, lease):
    found = db.execute(
        "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = ?"
        " WHERE state = 'waiting' OR state = 'running' AND lease_until <= ? RETURNING attempt",
        (now + lease, now),
    ).fetchall()
    return found[0][0] if found else None


def finish(db, number, attempt, result):
    write = (
        "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND state = 'running' AND attempt = ?"
    )
    return db.execute(write, (result, number, attempt)).rowcount == 1


# %% 11.4 | What do you compare before you write
def claim(db, number, now, lease):
    found = db.execute(
        "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = ?"
        " WHERE number = ? AND (state = 'waiting' OR state = 'running' AND lease_until <= ?) RETURNING attempt",
        (now + lease, number, now),
    ).fetchone()
    return found[0] if found else None


def finish(db, number, attempt, result):
    write = "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND state = 'running'"
    return db.execute(write, (result, number)).rowcount == 1


# %% 11.4 | the row was changed all the same
def claim(db, number, now, lease):
    found = db.execute(
        "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = ?"
        " WHERE number = ? AND (state = 'waiting' OR state = 'running' AND lease_until <= ?) RETURNING attempt",
        (now + lease, number, now),
    ).fetchone()
    return found[0] if found else None


def finish(db, number, attempt, result):
    db.execute("UPDATE pieces SET state = 'done', result = ? WHERE number = ?", (result, number))
    return db.execute("SELECT attempt FROM pieces WHERE number = ?", (number,)).fetchone()[0] == attempt


# %% 11.4 | In which state may a piece be finished
def claim(db, number, now, lease):
    found = db.execute(
        "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = ?"
        " WHERE number = ? AND (state = 'waiting' OR state = 'running' AND lease_until <= ?) RETURNING attempt",
        (now + lease, number, now),
    ).fetchone()
    return found[0] if found else None


def finish(db, number, attempt, result):
    write = "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND attempt = ?"
    return db.execute(write, (result, number, attempt)).rowcount == 1


# %% 11.4 | In which states may a piece be taken
def claim(db, number, now, lease):
    found = db.execute(
        "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = ?"
        " WHERE number = ? AND (state = 'waiting' OR lease_until <= ?) RETURNING attempt",
        (now + lease, number, now),
    ).fetchone()
    return found[0] if found else None


def finish(db, number, attempt, result):
    write = (
        "UPDATE pieces SET state = 'done', result = ? WHERE number = ? AND state = 'running' AND attempt = ?"
    )
    return db.execute(write, (result, number, attempt)).rowcount == 1
