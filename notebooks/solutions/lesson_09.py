"""Solutions of lesson 09, by exercise."""
# ruff: noqa (the names are the notebook's)


# %% 9.1
def subject_of(token, key):
    try:
        # The kind is in the header, which is signed too; what is no token raises here already.
        if jwt.get_unverified_header(token).get("typ") != "at+jwt":
            return None
        claims = jwt.decode(
            token,
            key,
            algorithms=["HS256"],  # ours to say, and not the token's
            audience="flowers",
            options={"require": ["exp", "sub", "aud"]},  # else they are checked only where they are
        )
    except jwt.PyJWTError:
        return None
    return claims["sub"]


# %% 9.2
TOKENS = {
    "t-alice": ("alice", {"predict"}),
    "t-bob": ("bob", {"jobs"}),
    "t-carol": ("carol", {"predict", "jobs"}),
}


def caller(needed: SecurityScopes, sent: Sent):
    if sent is None:  # nothing wrong so far: no error code
        raise HTTPException(401, "expected a token", {"WWW-Authenticate": "Bearer"})
    if sent.credentials not in TOKENS:
        challenge = 'Bearer error="invalid_token"'
        raise HTTPException(401, "expected a token that is good", {"WWW-Authenticate": challenge})
    name, allowed = TOKENS[sent.credentials]
    if set(needed.scopes) - allowed:  # all of them, so nothing may be left
        challenge = f'Bearer error="insufficient_scope", scope="{needed.scope_str}"'
        raise HTTPException(403, "expected another scope", {"WWW-Authenticate": challenge})
    return name


# %% 9.3
CARDS = {"Bearer t-alice": {"predict"}, "Bearer t-bob": {"jobs"}}


def guard(app):
    @app.before_request
    def look():
        # Looked up at each request, so that views which come later are guarded as well.
        view = app.view_functions.get(request.endpoint)
        if view is None:
            return None  # no such route: Flask answers 404
        scope = getattr(view, "scope", None)
        if scope is None:
            return {"detail": "nobody may, before the view declares who may"}, 403
        if scope == "public":
            return None
        allowed = CARDS.get(request.headers.get("Authorization"))
        if allowed is None:
            return {"detail": "expected a token"}, 401, {"WWW-Authenticate": "Bearer"}
        if scope not in allowed:
            return {"detail": f"expected the scope {scope}"}, 403
        return None


# %% 9.4
def let_in(times, now, limit, seconds):
    # `times` is in order, so those that do not count any more are in front.
    while times and times[0] <= now - seconds:
        del times[0]
    if len(times) >= limit:
        return False  # and nothing is noted: who is refused does not wait for longer
    times.append(now)
    return True
