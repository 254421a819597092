"""Solutions of lesson 13, by exercise."""
# ruff: noqa (the names are the notebook's)


# %% 13.1
def frame(data, event=""):
    # JSON writes a newline as two ordinary characters, so that no data can end its line. The name stands
    # before the data: the empty line ends the event, and what comes after belongs to the next one.
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data)}\n\n"


# %% 13.2
def read(events):
    text = ""
    try:
        for name, data in events:
            if name == "error":
                return text, "failed"
            if name != "message":
                continue  # somebody may have added it since this was written
            if data == "[DONE]":
                return text, "whole"  # and not one event further: the line may stay open
            for choice in json.loads(data)["choices"]:
                text += choice["delta"].get("content") or ""
    except httpx.TransportError:
        pass  # broken or silent: the same as an end that nobody has announced
    return text, "cut"


# %% 13.3
class Gone(Exception):
    """The client has left."""


async def attended(work, leaving):
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(leaving)
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()  # or raises what it raised
    finally:
        # On every way out, also where somebody cancels us in the wait above: it cancels neither of the two.
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


# %% 13.4
def put(box, piece, now):
    if box.get("cut"):
        return False
    waiting = box.setdefault("waiting", [])
    if not waiting:
        box["since"] = now  # before, there was nothing to take, and that is no fault of the reader's
    elif now - box["since"] >= 10:
        box["cut"] = True
        waiting.clear()
        return False
    waiting.append(piece)
    return True


def take(box, now):
    # All is taken, so the next piece comes into an empty box, and the time begins anew with it.
    taken, box["waiting"] = box.get("waiting", []), []
    return taken
