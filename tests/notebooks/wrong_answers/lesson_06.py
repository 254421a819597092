"""Known wrong answers of lesson 06: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)


# %% 6.1 | after a 429 with Retry-After: 30 expected "wait and send it again", got "change the request"
def next_step(answer):
    if answer.status_code < 400:
        return "use it"
    if answer.status_code < 500:
        return "change the request"
    return "wait and send it again" if "Retry-After" in answer.headers else "tell the operator"


# %% 6.1 | Nobody said when. How long would you wait?
def next_step(answer):
    if answer.status_code < 400:
        return "use it"
    if answer.status_code in (429, 503):
        return "wait and send it again"
    return "change the request" if answer.status_code < 500 else "tell the operator"


# %% 6.1 | Is 200 the only status that begins with a 2?
def next_step(answer):
    if answer.status_code == 200:
        return "use it"
    if "Retry-After" in answer.headers:
        return "wait and send it again"
    return "tell the operator" if answer.status_code >= 500 else "change the request"


# %% 6.1 | expected a text, got None
def next_step(answer):
    if answer.status_code == 200:
        return "use it"
    if answer.status_code == 503:
        return "wait and send it again"


# %% 6.1 | expected one of the four texts, got 'retry'
def next_step(answer):
    if "Retry-After" in answer.headers:
        return "retry"
    return {2: "use it", 4: "change the request", 5: "tell the operator"}[answer.status_code // 100]


# %% 6.1 | raised KeyError
def next_step(answer):
    if answer.headers["Retry-After"]:
        return "wait and send it again"
    return "use it"


# %% 6.1 | after a 422 expected "change the request", got "tell the operator"
def next_step(answer):
    if answer.status_code == 200:
        return "use it"
    if answer.status_code in (400, 404, 405):
        return "change the request"
    return "wait and send it again" if "Retry-After" in answer.headers else "tell the operator"


# %% 6.1 | after a 200 with Retry-After: 1 expected "use it"
def next_step(answer):
    if "Retry-After" in answer.headers:
        return "wait and send it again"
    return {2: "use it", 4: "change the request", 5: "tell the operator"}[answer.status_code // 100]


# %% 6.1 | after a 503 with Retry-After: 0 expected "wait and send it again"
def next_step(answer):
    if answer.status_code < 400:
        return "use it"
    if int(answer.headers.get("Retry-After", 0)) > 0:
        return "wait and send it again"
    return "change the request" if answer.status_code < 500 else "tell the operator"


# %% 6.1 | after a 400 expected "change the request", got "tell the operator"
def next_step(answer):
    if answer.status_code < 400:
        return "use it"
    if "Retry-After" in answer.headers:
        return "wait and send it again"
    return "change the request" if 400 < answer.status_code < 500 else "tell the operator"


# %% 6.2 | the sentence holds the client's own word: expected none of it
def detail_of(error):
    return str(error)


# %% 6.2 | Who chose the name in `loc`, and what is `type` then?
def detail_of(error):
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


# %% 6.2 | expected 'features' and '0' in it
def detail_of(error):
    return error.errors()[0]["msg"]


# %% 6.2 | expected 'features' and '0' and 'number' in it
def detail_of(error):
    return "the input is not valid"


# %% 6.2 | raised TypeError
def detail_of(error):
    first = error.errors()[0]
    return ".".join(first["loc"]) + ": " + first["msg"]


# %% 6.2 | the sentence holds the client's own word: expected none of it, got "'hunter2'
def detail_of(error):
    first = error.errors()[0]
    return f"{first['input']!r} is wrong at {first['loc']}: {first['msg']}"


# %% 6.2 | expected a sentence, got
def detail_of(error):
    first = error.errors()[0]
    return first["loc"], first["msg"]


# %% 6.2 | expected 'number' in it
def detail_of(error):
    return "wrong at " + ".".join(str(part) for part in error.errors()[0]["loc"])


# %% 6.2 | Which of the errors is the first?
def detail_of(error):
    last = error.errors()[-1]
    if last["type"] == "extra_forbidden":
        return "expected no other name"
    return f"{last['loc']}: {last['msg']}"


# %% 6.2 | expected '0' in it
def detail_of(error):
    first = error.errors()[0]
    if first["type"] == "extra_forbidden":
        return "expected no other name"
    return f"{first['loc'][:1]}: {first['msg']}"


# %% 6.2 | expected none of it, got "extra_forbidden
def detail_of(error):
    return "; ".join(f"{each['type']} at {each['loc']}: {each['msg']}" for each in error.errors())


# %% 6.3 | expected its line, got the one of ticket-4710
def line_of(server, request_id):
    for text in server.log.read_text(encoding="utf-8").splitlines():
        if request_id in text:
            return json.loads(text)


# %% 6.3 | raised JSONDecodeError
def line_of(server, request_id):
    for text in server.log.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line["event"] == "request" and line["request_id"] == request_id:
            return line


# %% 6.3 | expected the event "request", got 'prediction failed'
def line_of(server, request_id):
    for text in server.log.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line.get("request_id") == request_id:
            return line


# %% 6.3 | expected a dictionary, got the text
def line_of(server, request_id):
    for text in server.log.read_text(encoding="utf-8").splitlines():
        if f'"request_id": "{request_id}"' in text and '"event": "request"' in text:
            return text


# %% 6.3 | raised KeyError
def line_of(server, request_id):
    for text in server.log.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line["request_id"] == request_id and line["event"] == "request":
            return line


# %% 6.3 | stands only in a trace_id: expected None
def line_of(server, request_id):
    for text in server.log.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if request_id in line.values() and line["event"] == "request":
            return line


# %% 6.3 | which is in the log: expected its line, got None
def line_of(server, request_id):
    text = server.log.read_text(encoding="utf-8").splitlines()[0]
    if text.startswith("{"):
        return json.loads(text)


# %% 6.3 | expected its line, got None. Where does it get lost?
def line_of(server, request_id):
    try:
        for text in server.log.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if line.get("event") == "request" and line.get("request_id") == request_id:
                return line
    except ValueError:
        return None


# %% 6.3 | ticket-4799 stands only in a trace_id
def line_of(server, request_id):
    for text in server.log.read_text(encoding="utf-8").splitlines():
        if f'"{request_id}"' in text and json.loads(text)["event"] == "request":
            return json.loads(text)


# %% 6.3 | expected the event "request", got 'answer logged elsewhere'
def line_of(server, request_id):
    for text in reversed(server.log.read_text(encoding="utf-8").splitlines()):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line.get("request_id") == request_id:
            return line


# %% 6.4 | Will the same bytes be right a second later?
def ask_patiently(send, sleep, budget):
    waited = 0
    while True:
        answer = send()
        if answer.status_code == 200 or waited + 1 > budget:
            return answer
        sleep(1)
        waited += 1


# %% 6.4 | Did anybody say when?
def ask_patiently(send, sleep, budget):
    pause = 1
    while True:
        answer = send()
        if answer.status_code < 500 or pause > budget:
            return answer
        sleep(pause)
        budget, pause = budget - pause, 2 * pause


# %% 6.4 | the server answers with one 503 that says 3 s, then a prediction, and the budget is 10 s: expected pauses of [3] s, got [1]
def ask_patiently(send, sleep, budget):
    pause = 1
    while True:
        answer = send()
        if "Retry-After" not in answer.headers or pause > budget:
            return answer
        sleep(pause)
        budget, pause = budget - pause, 2 * pause


# %% 6.4 | What is each later pause, compared with the one before?
def ask_patiently(send, sleep, budget):
    while True:
        answer = send()
        if "Retry-After" not in answer.headers:
            return answer
        pause = int(answer.headers["Retry-After"])
        if pause > budget:
            return answer
        sleep(pause)
        budget -= pause


# %% 6.4 | Which is more, twice the last pause or what the header says?
def ask_patiently(send, sleep, budget):
    pause = None
    while True:
        answer = send()
        if "Retry-After" not in answer.headers:
            return answer
        pause = 2 * pause if pause else int(answer.headers["Retry-After"])
        if pause > budget:
            return answer
        sleep(pause)
        budget -= pause


# %% 6.4 | expected pauses of [1, 2, 4] s, got [1, 2, 4, 8]
def ask_patiently(send, sleep, budget):
    least = 0
    while True:
        answer = send()
        if "Retry-After" not in answer.headers or budget <= 0:
            return answer
        pause = max(int(answer.headers["Retry-After"]), least)
        sleep(pause)
        budget, least = budget - pause, 2 * pause


# %% 6.4 | and it was sent 40 times
def ask_patiently(send, sleep, budget):
    least = 0
    while True:
        answer = send()
        if "Retry-After" not in answer.headers:
            return answer
        pause = max(int(answer.headers["Retry-After"]), least)
        sleep(pause)
        least = 2 * pause


# %% 6.4 | Is 7 longer than 7?
def ask_patiently(send, sleep, budget):
    least = 0
    while True:
        answer = send()
        if "Retry-After" not in answer.headers:
            return answer
        pause = max(int(answer.headers["Retry-After"]), least)
        if pause >= budget:
            return answer
        sleep(pause)
        budget, least = budget - pause, 2 * pause


# %% 6.4 | expected to sleep for numbers, got '1'
def ask_patiently(send, sleep, budget):
    while "Retry-After" in (answer := send()).headers:
        sleep(answer.headers["Retry-After"])
    return answer


# %% 6.4 | expected to get the 200 back, got None
def ask_patiently(send, sleep, budget):
    answer = send()
    while "Retry-After" in answer.headers and int(answer.headers["Retry-After"]) <= budget:
        sleep(int(answer.headers["Retry-After"]))
        answer = send()


# %% 6.4 | expected the argument `sleep`
def ask_patiently(send, sleep, budget):
    least = 0
    while True:
        answer = send()
        if "Retry-After" not in answer.headers:
            return answer
        pause = max(int(answer.headers["Retry-After"]), least)
        if pause > budget:
            return answer
        time.sleep(pause)
        budget, least = budget - pause, 2 * pause


# %% 6.4 | with no pause. What is the argument `sleep` for?
def ask_patiently(send, sleep, budget):
    least = waited = 0
    while True:
        answer = send()
        if "Retry-After" not in answer.headers:
            return answer
        pause = max(int(answer.headers["Retry-After"]), least)
        if waited + pause > budget:
            return answer
        waited, least = waited + pause, 2 * pause


# %% 6.4 | expected pauses of [1, 2, 4] s, got [1, 2, 2
def ask_patiently(send, sleep, budget):
    first = True
    while True:
        answer = send()
        if "Retry-After" not in answer.headers:
            return answer
        pause = int(answer.headers["Retry-After"]) * (1 if first else 2)
        if pause > budget:
            return answer
        sleep(pause)
        budget, first = budget - pause, False
