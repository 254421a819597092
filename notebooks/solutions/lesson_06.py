"""Solutions of lesson 06, by exercise."""
# ruff: noqa (the names are the notebook's)


# %% 6.1
def next_step(answer):
    if answer.status_code < 400:
        return "use it"
    # Before the digit: whoever says when, says that the same request may then be sent again.
    if "Retry-After" in answer.headers:
        return "wait and send it again"
    return "change the request" if answer.status_code < 500 else "tell the operator"


# %% 6.2
def detail_of(error):
    first = error.errors()[0]
    # The one case in which `loc` ends in a word of the client's: a name that we do not know.
    if first["type"] == "extra_forbidden":
        return "expected no other name than those of the example"
    # All other names in `loc` are those of our own class, and the numbers are places in a list.
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    # `msg` is pydantic's own sentence. `input` is what came: it stays here. So does str(error), which has it.
    return f"{where}: {first['msg']}"


# %% 6.3
def line_of(server, request_id):
    for text in server.log.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            # Something else writes to the same place: a library, or Python itself.
            continue
        # Values, not parts of the text: ticket-47 is a part of ticket-4710. And get(): not all have an id.
        if line.get("event") == "request" and line.get("request_id") == request_id:
            return line
    return None


# %% 6.4
def ask_patiently(send, sleep, budget):
    least = 0
    while True:
        answer = send()
        # A prediction, a 400, a 500: the same bytes would get the same answer.
        if "Retry-After" not in answer.headers:
            return answer
        # Twice as long each time, so that a server in trouble is left alone more and more.
        pause = max(int(answer.headers["Retry-After"]), least)
        # Asked before the pause: whoever waits for nothing had better not wait.
        if pause > budget:
            return answer
        sleep(pause)
        budget, least = budget - pause, 2 * pause
