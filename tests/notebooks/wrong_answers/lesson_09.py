"""Known wrong answers of lesson 09: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)


# %% 9.1 | for a token that nobody signed expected None
def subject_of(token, key):
    claims = jwt.decode(token, options={"verify_signature": False})
    return claims["sub"]


# %% 9.1 | signed with HS512 expected None, got 'alice'
def subject_of(token, key):
    try:
        alg = jwt.get_unverified_header(token)["alg"]
        options = {"require": ["exp", "sub", "aud"]}
        return jwt.decode(token, key, algorithms=[alg], audience="flowers", options=options)["sub"]
    except jwt.PyJWTError:
        return None


# %% 9.1 | that never expires expected None
def subject_of(token, key):
    try:
        return jwt.decode(token, key, algorithms=["HS256"], audience="flowers")["sub"]
    except jwt.PyJWTError:
        return None


# %% 9.1 | Which audience do you expect
def subject_of(token, key):
    try:
        return jwt.decode(token, key, algorithms=["HS256"], options={"require": ["exp", "sub"]})["sub"]
    except jwt.PyJWTError:
        return None


# %% 9.1 | for the audience 'birds' expected None
def subject_of(token, key):
    try:
        options = {"require": ["exp", "sub", "aud"], "verify_aud": False}
        return jwt.decode(token, key, algorithms=["HS256"], options=options)["sub"]
    except jwt.PyJWTError:
        return None


# %% 9.1 | of the kind 'reset+jwt'
def subject_of(token, key):
    try:
        options = {"require": ["exp", "sub", "aud"]}
        return jwt.decode(token, key, algorithms=["HS256"], audience="flowers", options=options)["sub"]
    except jwt.PyJWTError:
        return None


# %% 9.1 | raised InvalidSignatureError
def subject_of(token, key):
    try:
        options = {"require": ["exp", "sub", "aud"]}
        return jwt.decode(token, key, algorithms=["HS256"], audience="flowers", options=options)["sub"]
    except (jwt.ExpiredSignatureError, jwt.InvalidAlgorithmError):
        return None


# %% 9.1 | raised DecodeError
def subject_of(token, key):
    if jwt.get_unverified_header(token)["typ"] != "at+jwt":
        return None
    try:
        options = {"require": ["exp", "sub", "aud"]}
        return jwt.decode(token, key, algorithms=["HS256"], audience="flowers", options=options)["sub"]
    except jwt.PyJWTError:
        return None


# %% 9.1 | Which of the claims is it
def subject_of(token, key):
    try:
        return jwt.decode(token, key, algorithms=["HS256"], audience="flowers")
    except jwt.PyJWTError:
        return None


# %% 9.2 | with no token and scopes ['predict'], `caller` raised AttributeError
TOKENS = {"t-alice": ("alice", {"predict"}), "t-bob": ("bob", {"jobs"})}


def caller(needed: SecurityScopes, sent: Sent):
    return TOKENS[sent.credentials][0]


# %% 9.2 | with no token and scopes ['predict'] expected 401, got 403
TOKENS = {"t-alice": ("alice", {"predict"}), "t-bob": ("bob", {"jobs"})}


def caller(needed: SecurityScopes, sent: Sent):
    if sent is None or sent.credentials not in TOKENS:
        raise HTTPException(403)
    return TOKENS[sent.credentials][0]


# %% 9.2 | and WWW-Authenticate is 'missing'
TOKENS = {"t-alice": ("alice", {"predict"}), "t-bob": ("bob", {"jobs"})}


def caller(needed: SecurityScopes, sent: Sent):
    if sent is None or sent.credentials not in TOKENS:
        raise HTTPException(401)
    return TOKENS[sent.credentials][0]


# %% 9.2 | What has the client done wrong so far
TOKENS = {"t-alice": ("alice", {"predict"}), "t-bob": ("bob", {"jobs"})}


def caller(needed: SecurityScopes, sent: Sent):
    if sent is None or sent.credentials not in TOKENS:
        raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return TOKENS[sent.credentials][0]


# %% 9.2 | `caller` raised KeyError
TOKENS = {"t-alice": ("alice", {"predict"}), "t-bob": ("bob", {"jobs"})}


def caller(needed: SecurityScopes, sent: Sent):
    if sent is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return TOKENS[sent.credentials][0]


# %% 9.2 | with Bearer t-bob and scopes ['predict'] expected 403, got 200
TOKENS = {"t-alice": ("alice", {"predict"}), "t-bob": ("bob", {"jobs"})}


def caller(needed: SecurityScopes, sent: Sent):
    if sent is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    if sent.credentials not in TOKENS:
        raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return TOKENS[sent.credentials][0]


# %% 9.2 | with Bearer t-bob and scopes ['predict'] expected 403, got 401
TOKENS = {"t-alice": ("alice", {"predict"}), "t-bob": ("bob", {"jobs"})}


def caller(needed: SecurityScopes, sent: Sent):
    if sent is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    name, allowed = TOKENS.get(sent.credentials, ("", set()))
    if not name or set(needed.scopes) - allowed:
        raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return name


# %% 9.2 | She has one of the two. Is that enough
TOKENS = {"t-alice": ("alice", {"predict"}), "t-bob": ("bob", {"jobs"})}


def caller(needed: SecurityScopes, sent: Sent):
    if sent is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    if sent.credentials not in TOKENS:
        raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    name, allowed = TOKENS[sent.credentials]
    if not any(scope in allowed for scope in needed.scopes):
        challenge = f'Bearer error="insufficient_scope", scope="{needed.scope_str}"'
        raise HTTPException(403, headers={"WWW-Authenticate": challenge})
    return name


# %% 9.2 | expected scope="predict" in it
TOKENS = {"t-alice": ("alice", {"predict"}), "t-bob": ("bob", {"jobs"})}


def caller(needed: SecurityScopes, sent: Sent):
    if sent is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    if sent.credentials not in TOKENS:
        raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    name, allowed = TOKENS[sent.credentials]
    if set(needed.scopes) - allowed:
        raise HTTPException(403, headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'})
    return name


# %% 9.2 | with no token and scopes ['predict'] expected 401, got 200
TOKENS = {"t-alice": ("alice", {"predict"}), "t-bob": ("bob", {"jobs"})}


def caller(needed: SecurityScopes, sent: Sent):
    if sent is None:
        return HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return TOKENS[sent.credentials][0]


# %% 9.3 | GET /open with no token gave 401, expected 200
CARDS = {"Bearer t-alice": {"predict"}, "Bearer t-bob": {"jobs"}}


def guard(app):
    @app.before_request
    def look():
        if request.headers.get("Authorization") not in CARDS:
            return {"detail": "expected a token"}, 401, {"WWW-Authenticate": "Bearer"}


# %% 9.3 | GET /backup with no token gave 200, expected 403
CARDS = {"Bearer t-alice": {"predict"}, "Bearer t-bob": {"jobs"}}


def guard(app):
    @app.before_request
    def look():
        scope = getattr(app.view_functions.get(request.endpoint), "scope", "public")
        if scope == "public":
            return None
        allowed = CARDS.get(request.headers.get("Authorization"))
        if allowed is None:
            return {"detail": "expected a token"}, 401, {"WWW-Authenticate": "Bearer"}
        if scope not in allowed:
            return {"detail": "expected another scope"}, 403


# %% 9.3 | gave 401 without a header WWW-Authenticate
from flask import abort

CARDS = {"Bearer t-alice": {"predict"}, "Bearer t-bob": {"jobs"}}


def guard(app):
    @app.before_request
    def look():
        scope = getattr(app.view_functions.get(request.endpoint), "scope", None)
        if scope == "public":
            return None
        if request.headers.get("Authorization") not in CARDS:
            abort(401)


# %% 9.3 | GET /flowers with Bearer t-bob gave 401, expected 403
CARDS = {"Bearer t-alice": {"predict"}, "Bearer t-bob": {"jobs"}}


def guard(app):
    @app.before_request
    def look():
        scope = getattr(app.view_functions.get(request.endpoint), "scope", None)
        if scope == "public":
            return None
        if scope not in CARDS.get(request.headers.get("Authorization"), set()):
            return {"detail": "expected a token"}, 401, {"WWW-Authenticate": "Bearer"}


# %% 9.3 | When does your function look at the views
CARDS = {"Bearer t-alice": {"predict"}, "Bearer t-bob": {"jobs"}}


def guard(app):
    scopes = {name: getattr(view, "scope", None) for name, view in app.view_functions.items()}

    @app.before_request
    def look():
        scope = scopes.get(request.endpoint, "public")
        if scope == "public":
            return None
        if scope is None:
            return {"detail": "nobody may"}, 403
        allowed = CARDS.get(request.headers.get("Authorization"))
        if allowed is None:
            return {"detail": "expected a token"}, 401, {"WWW-Authenticate": "Bearer"}
        if scope not in allowed:
            return {"detail": "expected another scope"}, 403


# %% 9.3 | What decides: the path, or what a view declares
CARDS = {"Bearer t-alice": {"predict"}, "Bearer t-bob": {"jobs"}}


def guard(app):
    @app.before_request
    def look():
        if request.path.startswith("/flowers"):
            allowed = CARDS.get(request.headers.get("Authorization"))
            if allowed is None:
                return {"detail": "expected a token"}, 401, {"WWW-Authenticate": "Bearer"}
            if "predict" not in allowed:
                return {"detail": "expected another scope"}, 403
        elif request.path in ("/backup", "/later"):
            return {"detail": "nobody may"}, 403


# %% 9.3 | GET /nowhere with no token gave 403, expected 404
CARDS = {"Bearer t-alice": {"predict"}, "Bearer t-bob": {"jobs"}}


def guard(app):
    @app.before_request
    def look():
        scope = getattr(app.view_functions.get(request.endpoint), "scope", None)
        if scope is None:
            return {"detail": "nobody may"}, 403
        if scope == "public":
            return None
        allowed = CARDS.get(request.headers.get("Authorization"))
        if allowed is None:
            return {"detail": "expected a token"}, 401, {"WWW-Authenticate": "Bearer"}
        if scope not in allowed:
            return {"detail": "expected another scope"}, 403


# %% 9.3 | GET /nowhere with no token raised KeyError
CARDS = {"Bearer t-alice": {"predict"}, "Bearer t-bob": {"jobs"}}


def guard(app):
    @app.before_request
    def look():
        scope = getattr(app.view_functions[request.endpoint], "scope", None)
        if scope is None:
            return {"detail": "nobody may"}, 403
        if scope == "public":
            return None
        allowed = CARDS.get(request.headers.get("Authorization"))
        if allowed is None:
            return {"detail": "expected a token"}, 401, {"WWW-Authenticate": "Bearer"}
        if scope not in allowed:
            return {"detail": "expected another scope"}, 403


# %% 9.3 | and the view ran all the same
CARDS = {"Bearer t-alice": {"predict"}, "Bearer t-bob": {"jobs"}}


def guard(app):
    @app.after_request
    def look(answer):
        scope = getattr(app.view_functions.get(request.endpoint), "scope", None)
        allowed = CARDS.get(request.headers.get("Authorization"))
        if scope != "public" and allowed is None:
            answer.status_code = 401
            answer.headers["WWW-Authenticate"] = "Bearer"
        elif scope != "public" and scope not in allowed:
            answer.status_code = 403
        return answer


# %% 9.4 | When does your window begin
def let_in(times, now, limit, seconds):
    if times and times[0] // seconds != now // seconds:
        times.clear()
    if len(times) >= limit:
        return False
    times.append(now)
    return True


# %% 9.4 | Does the first still count, and did those that were refused
def let_in(times, now, limit, seconds):
    while times and times[0] <= now - seconds:
        del times[0]
    times.append(now)
    return len(times) <= limit


# %% 9.4 | at 160 s, exactly 60 s after the first of 3, expected True
def let_in(times, now, limit, seconds):
    while times and times[0] < now - seconds:
        del times[0]
    if len(times) >= limit:
        return False
    times.append(now)
    return True


# %% 9.4 | or make another
def let_in(times, now, limit, seconds):
    times = [one for one in times if one > now - seconds]
    if len(times) >= limit:
        return False
    times.append(now)
    return True


# %% 9.4 | entries, expected 2 at most
def let_in(times, now, limit, seconds):
    if len([one for one in times if one > now - seconds]) >= limit:
        return False
    times.append(now)
    return True


# %% 9.4 | at 103 s, the 4. of 3 in a minute, expected False, got True
def let_in(times, now, limit, seconds):
    while times and times[0] <= now - seconds:
        del times[0]
    if len(times) > limit:
        return False
    times.append(now)
    return True


# %% 9.4 | got None
def let_in(times, now, limit, seconds):
    while times and times[0] <= now - seconds:
        del times[0]
    if len(times) < limit:
        times.append(now)
        return True


# %% 9.4 | How many has it let go
def let_in(times, now, limit, seconds):
    if times and times[0] <= now - seconds:
        times.clear()
    if len(times) >= limit:
        return False
    times.append(now)
    return True
