"""Known wrong answers of lesson 13: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)


# %% 13.1 | which is no JSON
def frame(data, event=""):
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {data}\n\n"


# %% 13.1 | does not end with an empty line
def frame(data, event=""):
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data)}\n"


# %% 13.1 | expected 'error'
def frame(data, event=""):
    return f"data: {json.dumps(data)}\n\n"


# %% 13.1 | In which line is the name, and before which other one
def frame(data, event=""):
    name = f"event: {event}\n" if event else ""
    return f"data: {json.dumps(data)}\n\n{name}"


# %% 13.1 | Where do you make JSON of it
def frame(data, event=""):
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {data!r}\n\n"


# %% 13.1 | Which kinds of data does your frame take
def frame(data, event=""):
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(str(data))}\n\n"


# %% 13.1 | expected 'Roses are red.\n\nViolets are blue.'
def frame(data, event=""):
    name = f"event: {event}\n" if event else ""
    if isinstance(data, str):
        data = data.replace("\n\n", "\n")
    return f"{name}data: {json.dumps(data)}\n\n"


# %% 13.1 | expected a text. What does your function return
def frame(data, event=""):
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data)}\n\n".encode()


# %% 13.2 | Who says that it is whole
def read(events):
    text = ""
    for name, data in events:
        if name == "error":
            return text, "failed"
        if data == "[DONE]":
            break
        for choice in json.loads(data)["choices"]:
            text += choice["delta"].get("content") or ""
    return text, "whole"


# %% 13.2 | raised JSONDecodeError
def read(events):
    text = ""
    for name, data in events:
        for choice in json.loads(data)["choices"]:
            text += choice["delta"].get("content") or ""
    return text, "whole"


# %% 13.2 | raised KeyError
def read(events):
    text = ""
    try:
        for name, data in events:
            if name == "error":
                return text, "failed"
            if data == "[DONE]":
                return text, "whole"
            text += json.loads(data)["choices"][0]["delta"]["content"]
    except httpx.TransportError:
        pass
    return text, "cut"


# %% 13.2 | raised IndexError
def read(events):
    text = ""
    try:
        for name, data in events:
            if name == "error":
                return text, "failed"
            if data == "[DONE]":
                return text, "whole"
            text += json.loads(data)["choices"][0]["delta"].get("content") or ""
    except httpx.TransportError:
        pass
    return text, "cut"


# %% 13.2 | Which names do you know
def read(events):
    text = ""
    try:
        for name, data in events:
            if data == "[DONE]":
                return text, "whole"
            if name != "message":
                return text, "failed"
            for choice in json.loads(data)["choices"]:
                text += choice["delta"].get("content") or ""
    except httpx.TransportError:
        pass
    return text, "cut"


# %% 13.2 | raised RemoteProtocolError
def read(events):
    text = ""
    for name, data in events:
        if name == "error":
            return text, "failed"
        if name != "message":
            continue
        if data == "[DONE]":
            return text, "whole"
        for choice in json.loads(data)["choices"]:
            text += choice["delta"].get("content") or ""
    return text, "cut"


# %% 13.2 | What do all these errors have in common
def read(events):
    text = ""
    try:
        for name, data in events:
            if name == "error":
                return text, "failed"
            if name != "message":
                continue
            if data == "[DONE]":
                return text, "whole"
            for choice in json.loads(data)["choices"]:
                text += choice["delta"].get("content") or ""
    except httpx.RemoteProtocolError:
        pass
    except httpx.ReadTimeout:
        return text, "failed"
    return text, "cut"


# %% 13.2 | asked for more events after the end
def read(events):
    text, how = "", "cut"
    try:
        for name, data in events:
            if name == "error":
                how = "failed"
            elif data == "[DONE]":
                how = "whole"
            elif name == "message":
                for choice in json.loads(data)["choices"]:
                    text += choice["delta"].get("content") or ""
    except httpx.TransportError:
        pass
    return text, how


# %% 13.2 | Is it an end
def read(events):
    text = ""
    try:
        for name, data in events:
            if name == "error":
                return text, "failed"
            if name != "message":
                continue
            if "[DONE]" in data:
                return text, "whole"
            for choice in json.loads(data)["choices"]:
                text += choice["delta"].get("content") or ""
    except httpx.TransportError:
        pass
    return text, "cut"


# %% 13.2 | expected a text and a word
def read(events):
    return "".join(data for name, data in events if name == "message")


# %% 13.3 | still waiting for `work`
class Gone(Exception):
    """The client has left."""


async def attended(work, leaving):
    waiting = asyncio.ensure_future(leaving)
    try:
        answer = await work
        if waiting.done():
            raise Gone
        return answer
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


# %% 13.3 | `work` goes on for nobody
class Gone(Exception):
    """The client has left."""


async def attended(work, leaving):
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(leaving)
    await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        raise Gone
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return working.result()


# %% 13.3 | Who cancels it, and who waits until it has ended
class Gone(Exception):
    """The client has left."""


async def attended(work, leaving):
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(leaving)
    await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        return working.result()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    raise Gone


# %% 13.3 | the client left, and at the end `work` had not come to its own
class Gone(Exception):
    """The client has left."""


async def attended(work, leaving):
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(leaving)
    await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return working.result()
    working.cancel()
    await asyncio.sleep(0)
    raise Gone


# %% 13.3 | attended was cancelled itself, as where the server stops
class Gone(Exception):
    """The client has left."""


async def attended(work, leaving):
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(leaving)
    await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
    done = working.done()
    for task in (working, waiting):
        task.cancel()
    await asyncio.gather(working, waiting, return_exceptions=True)
    if not done:
        raise Gone
    return working.result()


# %% 13.3 | Who asks for it
class Gone(Exception):
    """The client has left."""


async def attended(work, leaving):
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(leaving)
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return None if working.exception() else working.result()
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


# %% 13.3 | What do you do then
class Gone(Exception):
    """The client has left."""


async def attended(work, leaving):
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(leaving)
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


# %% 13.3 | Who keeps it
class Gone(Exception):
    """The client has left."""


async def attended(work, leaving):
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(leaving)
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        pass
    done = working.done()
    for task in (working, waiting):
        task.cancel()
    await asyncio.gather(working, waiting, return_exceptions=True)
    if not done:
        raise Gone
    return working.result()


# %% 13.4 | Was the reader slow, or the model
def put(box, piece, now):
    if now - box.setdefault("taken", now) >= 10:
        return False
    box.setdefault("waiting", []).append(piece)
    return True


def take(box, now):
    box["taken"] = now
    taken, box["waiting"] = box.get("waiting", []), []
    return taken


# %% 13.4 | How long has the piece of 50 waited
def put(box, piece, now):
    waiting = box.setdefault("waiting", [])
    waiting.append(piece)
    return True


def take(box, now):
    taken, box["waiting"] = box.get("waiting", []), []
    return taken


# %% 13.4 | put at 60 gave True, expected False
def put(box, piece, now):
    waiting = box.setdefault("waiting", [])
    if waiting and now - box["last"] >= 10:
        return False
    box["last"] = now
    waiting.append(piece)
    return True


def take(box, now):
    taken, box["waiting"] = box.get("waiting", []), []
    return taken


# %% 13.4 | What becomes of one who was cut off
def put(box, piece, now):
    waiting = box.setdefault("waiting", [])
    if not waiting:
        box["since"] = now
    elif now - box["since"] >= 10:
        waiting.clear()
        return False
    waiting.append(piece)
    return True


def take(box, now):
    taken, box["waiting"] = box.get("waiting", []), []
    return taken


# %% 13.4 | What is kept for one who was cut off
def put(box, piece, now):
    waiting = box.setdefault("waiting", [])
    if not waiting:
        box["since"] = now
    elif now - box["since"] >= 10:
        return False
    waiting.append(piece)
    return True


def take(box, now):
    taken, box["waiting"] = box.get("waiting", []), []
    return taken


# %% 13.4 | Is there any other bound
def put(box, piece, now):
    if box.get("cut"):
        return False
    waiting = box.setdefault("waiting", [])
    if not waiting:
        box["since"] = now
    elif now - box["since"] >= 10 or len(waiting) >= 100:
        box["cut"] = True
        waiting.clear()
        return False
    waiting.append(piece)
    return True


def take(box, now):
    taken, box["waiting"] = box.get("waiting", []), []
    return taken


# %% 13.4 | What waits, and in which order
def put(box, piece, now):
    waiting = box.setdefault("waiting", [])
    if not waiting:
        box["since"] = now
    elif now - box["since"] >= 10:
        return False
    waiting.append(piece)
    return True


def take(box, now):
    return [box["waiting"].pop(0)] if box.get("waiting") else []


# %% 13.4 | Who is cut off before ten seconds
def put(box, piece, now):
    box.setdefault("waiting", []).append(piece)


def take(box, now):
    taken, box["waiting"] = box.get("waiting", []), []
    return taken
