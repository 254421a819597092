"""The checks of lesson 09. No check measures time, or waits for it."""

import secrets
import time

import jwt
from fastapi import FastAPI, Security
from fastapi.testclient import TestClient
from flask import Blueprint, Flask

from ..answers import named
from ..exercises import NotYet, exercise, shown

# --- 9.1

UNSIGNED = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJhbGljZSJ9."  # alg none, at+jwt, sub alice


def tokens_of(key: str) -> list[tuple[str, str, str]]:
    """Tokens that are none: the name, the token, and what to ask about whoever takes it."""
    soon = int(time.time()) + 600
    claims = {"sub": "alice", "aud": "flowers", "exp": soon}

    def made(without: str = "", alg: str = "HS256", typ: str = "at+jwt", by: str = key, **changed) -> str:
        kept = {name: value for name, value in {**claims, **changed}.items() if name != without}
        return jwt.encode(kept, by, alg, headers={"typ": typ})

    return [
        ("that nobody signed", UNSIGNED, "Which algorithm do you expect, and is the signature checked?"),
        ("signed with another key", made(by=secrets.token_hex(32)), "Is the signature checked?"),
        ("signed with HS512", made(alg="HS512", by=key), "Who says which algorithm it is?"),
        ("that expired a minute ago", made(exp=soon - 660), "Which check did you turn off?"),
        ("that never expires", made(without="exp"), "Which claims have to be there?"),
        ("without an audience", made(without="aud"), "Which claims have to be there?"),
        ("for the audience 'birds'", made(aud="birds"), "For whom should it be?"),
        ("without a subject", made(without="sub"), "Which claims have to be there?"),
        ("of the kind 'reset+jwt'", made(typ="reset+jwt"), "Where does a token say of which kind it is?"),
        ("that is an empty text", "", "What does your function do with a text that is no token?"),
        ("that is 'a.b.c'", "a.b.c", "What does your function do with a text that is no token?"),
        ("with an accent", made() + "é", "What does your function do with a text that is no token?"),
    ]


@exercise(
    "9.1",
    hints=(
        "Which arguments of `jwt.decode` say for whom a token has to be, and which claims have to be there?",
        "`jwt.get_unverified_header(token)` gives the header. What should its `typ` be, and what does it do "
        "with a text that is no token?",
        "All of PyJWT's errors are `jwt.PyJWTError`. Which of your lines can raise one, and are all of them "
        "inside the `try`?",
    ),
)
def a_reader_of_tokens(answers):
    subject_of = answers.function("subject_of")
    key = secrets.token_hex(32)
    claims = {"sub": "alice", "aud": "flowers", "exp": int(time.time()) + 600}
    good = jwt.encode(claims, key, "HS256", headers={"typ": "at+jwt"})
    said = subject_of(good, key)
    if isinstance(said, dict):
        raise NotYet(f"for a good token expected 'alice', got {shown(said)}. Which of the claims is it?")
    if said != "alice":
        raise NotYet(
            f"for a good token expected 'alice', got {shown(said)}. Which audience do you expect, and does "
            "your function end in a `return`?"
        )
    for name, token, question in tokens_of(key):
        said = subject_of(token, key)
        if said is not None:
            raise NotYet(f"for a token {name} expected None, got {shown(said)}. {question}")
    return "it takes the one that is meant for it, and none of twelve others."


# --- 9.2


def status_of(caller, scopes: list[str], authorization: str | None):
    """What FastAPI answers where a route asks `caller` with these scopes. Raises NotYet."""
    app = FastAPI()
    try:

        @app.get("/")
        def view(who=Security(caller, scopes=scopes)):  # noqa: B008 (FastAPI's own way)
            return {"who": who}

        headers = {} if authorization is None else {"Authorization": authorization}
        return TestClient(app).get("/", headers=headers)
    except Exception as error:
        sent = "no token" if authorization is None else authorization
        raise NotYet(
            f"with {sent} and scopes {scopes}, `caller` raised {named(error)}, expected a name or an "
            "HTTPException. Which line did that?"
        ) from error


@exercise(
    "9.2",
    hints=(
        "`sent` is None where no token came. Else, in which of its attributes is the token?",
        "`HTTPException(401, headers={…})`: which header, and what stands in it in each of the three cases?",
        "`set(needed.scopes) - allowed` is what a caller lacks. When may they come in?",
    ),
)
def who_and_may_they(answers):
    answers.function("caller")
    caller = answers["caller"]
    one, both = ["predict"], ["predict", "jobs"]
    for scopes, sent, status, error, question in (
        (one, "Bearer t-alice", 200, "", "What does `caller` return for a token that is good?"),
        (one, None, 401, "", "What is `sent` then?"),
        (one, "Basic t-alice", 401, "", "That is no bearer token, so `sent` is None. What then?"),
        (one, "Bearer made-up", 401, "invalid_token", "Is it in TOKENS?"),
        (one, "Bearer t-bob", 403, "insufficient_scope", "He is known. What does he lack?"),
        (both, "Bearer t-alice", 403, "insufficient_scope", "She has one of the two. Is that enough?"),
        (both, "Bearer t-carol", 200, "", "She has both. What is compared with what?"),
        ([], "Bearer t-bob", 200, "", "The route names no scope. What does he lack?"),
    ):
        case = f"with {sent or 'no token'} and scopes {scopes}"
        answer = status_of(caller, scopes, sent)
        if answer.status_code != status:
            raise NotYet(f"{case} expected {status}, got {answer.status_code}. {question}")
        if status == 200:
            who, name = answer.json()["who"], sent.removeprefix("Bearer t-")
            if who != name:
                raise NotYet(f"{case} expected {name!r}, got {shown(who)}. What does `caller` return?")
            continue
        challenge = answer.headers.get("WWW-Authenticate", "")
        if not challenge.startswith("Bearer"):
            raise NotYet(
                f"{case} the status is right ({status}), and WWW-Authenticate is {challenge or 'missing'!r}, "
                "expected one that begins with Bearer. Which argument of HTTPException has headers?"
            )
        if not error and "error" in challenge:
            raise NotYet(f"{case} expected no error in {challenge!r}. What has the client done wrong so far?")
        if f'error="{error}"' not in challenge and error:
            raise NotYet(
                f'{case} expected error="{error}" in WWW-Authenticate, got {challenge!r}. {question}'
            )
        wanted = f'scope="{" ".join(scopes)}"'
        if status == 403 and wanted not in challenge:
            raise NotYet(
                f"{case} expected {wanted} in it, got {challenge!r}. Which scopes does the route name?"
            )
    return "name, 401 or 403, and each refusal says what to do about it."


# --- 9.3


class Garden:
    """A Flask app with views of every kind; `ran` has the paths of those that ran."""

    def __init__(self) -> None:
        self.app, self.ran = Flask("garden"), []
        self.app.config["PROPAGATE_EXCEPTIONS"] = True
        self.add("/open", "public")
        self.add("/flowers", "predict")
        self.add("/backup")

    def add(self, path: str, scope: str | None = None, to=None) -> None:
        def view():
            self.ran.append(path)
            return "seen"

        if scope is not None:
            view.scope = scope
        (to or self.app).add_url_rule(path, path.strip("/").replace("/", "-"), view)

    def ask(self, path: str, authorization: str | None):
        self.ran.clear()
        headers = {} if authorization is None else {"Authorization": authorization}
        return self.app.test_client().get(path, headers=headers)


ALICE, BOB = "Bearer t-alice", "Bearer t-bob"
ASKED = (
    ("/open", None, 200, "It is public. Who has to show anything there?"),
    ("/flowers", ALICE, 200, "What does a `before_request` function return where all is well?"),
    ("/flowers", None, 401, "What does the view declare, and what came?"),
    ("/flowers", "Bearer made-up", 401, "Is it in CARDS?"),
    ("/flowers", BOB, 403, "He is known, and lacks the scope. Which status is that?"),
    ("/backup", None, 403, "It declares nothing. Who may use it?"),
    ("/backup", ALICE, 403, "It declares nothing. Who may use it?"),
    ("/later", ALICE, 403, "It was added after `guard`. When does your function look at the views?"),
    (
        "/v2/flowers",
        None,
        401,
        "It was added after `guard`. What decides: the path, or what a view declares?",
    ),
    ("/v2/flowers", ALICE, 200, "It was added after `guard`. What does it declare?"),
    ("/nowhere", None, 404, "There is no view, so `request.endpoint` is None. Who answers then?"),
)


@exercise(
    "9.3",
    hints=(
        "A function that is defined in `guard` and decorated with `@app.before_request` sees each request. "
        "What does it return to let one in, and what to refuse?",
        "`app.view_functions.get(request.endpoint)` is the view. What is it for a path that is no route?",
        "`getattr(view, 'scope', None)` is what it declares. In which order do you ask: nothing, public, "
        "who, may they?",
    ),
)
def deny_by_default(answers):
    guard = answers.function("guard")
    garden = Garden()
    guard(garden.app)
    garden.add("/later")
    more = Blueprint("v2", __name__, url_prefix="/v2")
    garden.add("/flowers", "predict", to=more)
    garden.app.register_blueprint(more)
    for path, sent, status, question in ASKED:
        case = f"GET {path} with {sent or 'no token'}"
        try:
            answer = garden.ask(path, sent)
        except Exception as error:
            raise NotYet(f"{case} raised {named(error)}, expected {status}. {question}") from error
        if answer.status_code != status:
            raise NotYet(f"{case} gave {answer.status_code}, expected {status}. {question}")
        if status != 200 and garden.ran:
            raise NotYet(
                f"{case} gave {status}, and the view ran all the same. Which function of Flask's is called "
                "before it?"
            )
        if status == 401 and not answer.headers.get("WWW-Authenticate", "").startswith("Bearer"):
            raise NotYet(
                f"{case} gave 401 without a header WWW-Authenticate that begins with Bearer. What may stand "
                "behind the status in what a function returns?"
            )
    return "what a view declares decides, for those to come too, and what declares nothing is shut."


# --- 9.4

EXPECTED = "let_in(…) {when} expected {expected}, got {said}. {question}"


@exercise(
    "9.4",
    hints=(
        "Which entries of `times` do not count any more at `now`? What takes them out of *this* list?",
        "How many are left, and how many may there be before this one?",
        "In which case is `now` noted: always, or only where the caller was let in?",
    ),
)
def a_window_that_moves(answers):
    let_in = answers.function("let_in")

    def expect(said, expected: bool, when: str, question: str) -> None:
        if said is not expected:
            raise NotYet(EXPECTED.format(when=when, expected=expected, said=shown(said), question=question))

    times: list[float] = []
    for n in range(3):
        said = let_in(times, 100.0 + n, 3, 60)
        expect(
            said, True, f"at {100 + n} s, the {n + 1}. of 3 that a minute has,", "How many were there before?"
        )
    if len(times) != 3:
        raise NotYet(
            f"after three that were let in, `times` has {len(times)} entries, expected 3. Does your function "
            "change the list that it was given, or make another?"
        )
    expect(
        let_in(times, 103.0, 3, 60), False, "at 103 s, the 4. of 3 in a minute,", "How many are in `times`?"
    )
    expect(
        let_in(times, 121.0, 3, 60), False, "at 121 s, a new minute of the clock with 3 in the last 60 s,",
        "When does your window begin?",
    )  # fmt: skip
    expect(
        let_in(times, 160.0, 3, 60), True, "at 160 s, exactly 60 s after the first of 3,",
        "Does the first still count, and did those that were refused?",
    )  # fmt: skip
    expect(
        let_in(times, 160.5, 3, 60), False, "at 160.5 s, when only one has gone,", "How many has it let go?"
    )
    impatient: list[float] = []
    passed = [now for now in range(600) if let_in(impatient, float(now), 2, 60)]
    if passed != [now for start in range(0, 600, 60) for now in (start, start + 1)]:
        raise NotYet(
            f"a client that asks every second, 2 in 60 s allowed, was let in {len(passed)} times in ten "
            "minutes, expected 20. Are those counted that were refused?"
        )
    if len(impatient) > 2:
        raise NotYet(
            f"after ten minutes `times` has {len(impatient)} entries, expected 2 at most. Who takes out "
            "those that do not count any more?"
        )
    return "never more in any 60 seconds, and whoever waits is let in."
