"""`python kit.py check NAME`: the model as `model_training.checks` has it, and as both servers serve it."""

from collections.abc import Iterator
from pathlib import Path

from classroom.servers import Server, ServerError
from httpx import Response

from model_training.artifact import agree
from model_training.card import Card
from model_training.checks import checks
from model_training.checks.verdict import Check

# The model alone, whatever this terminal's settings are for other servers.
ALONE = {"MODEL_URI": "", "MODEL_FORMAT": "", "METRICS_PORT": "0", "ACCESS": "off", "RATE_LIMITS": ""}
ALONE |= {"MAX_PARALLEL": "", "DAILY_QUOTA": "", "CACHE": "off", "JOBS": "off", "GENERATION": "off"}


def check(arguments: list[str]) -> int:
    return checks.main(arguments, serving=served)


def served(folder: Path, card: Card) -> Iterator[Check]:
    """Both full servers serve that folder: they answer the golden rows as the card says, and alike, and both
    refuse a row that is a value too short."""
    env = {**ALONE, "MODEL_PATH": str(folder.absolute())}
    servers = [Server(name, env=env) for name in ("fastapi", "flask")]
    try:
        for server in servers:
            server.wait()
        answers = [[ask(server, row.features) for row in card.golden] for server in servers]
        refused = [ask(server, card.golden[0].features[:-1]) for server in servers]
    except ServerError as error:
        yield Check("contract", "both servers serve it", "they start", str(error), False)
        return
    finally:
        for server in servers:
            server.stop()
    for server, given in zip(servers, answers, strict=True):
        right = [is_right(answer, row.prediction) for answer, row in zip(given, card.golden, strict=True)]
        what, found = f"POST /predict of the {server.name} server", f"{sum(right)} of {len(right)}"
        if not all(right):
            found += f", the first other answer: {given[right.index(False)].text[:200]}"
        yield Check("contract", what, "200, and the card's answers to the golden rows", found, all(right))
    one, other = ([body(answer) for answer in given] for given in answers)
    found = f"{sum(map(dict.__eq__, one, other))} of {len(one)} answers"
    yield Check("contract", "one server, and the other", "the same answers", found, one == other)
    statuses = [answer.status_code for answer in refused]
    alike = statuses == [400, 400] and body(refused[0]) == body(refused[1])
    found = " and ".join(map(str, statuses))
    yield Check("contract", "a row that is a value too short", "400, and the same words", found, alike)


def ask(server: Server, features: list) -> Response:
    return server.post("/predict", json={"features": features})


def is_right(answer: Response, expected) -> bool:
    return answer.status_code == 200 and agree(answer.json()["prediction"][0], expected)


def body(answer: Response) -> dict:
    """Without what is each request's own."""
    own = ("request_id", "instance")
    return {name: value for name, value in answer.json().items() if name not in own}
