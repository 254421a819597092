"""Who may use the server: tokens, keys, and who am I. There only with ACCESS=on."""

from typing import Annotated

from flask import Blueprint, Response

from apps.flask_app.dependencies import CallerDep, ServiceDep
from apps.frameworks.flask_views import Depends, typed
from apps.frameworks.wsgi import current_context
from apps.service.access import grants
from apps.service.access.declared import PUBLIC, SIGNED_IN, access
from apps.service.access.grants import (
    NO_STORE,
    REVOKE_FORM,
    TOKEN_FORM,
    Form,
    JsonWebKeys,
    KeyAnswer,
    KeyList,
    KeyRequest,
    NewKey,
    RevokeAnswer,
    TokenAnswer,
)
from apps.service.access.identity import Me
from apps.service.problems import BODY, LOGIN, problems

router = Blueprint("access", __name__)


def form() -> Form:
    return grants.form(current_context())


FormDep = Annotated[Form, Depends(form)]


@router.post("/token")
@typed(problems(*LOGIN), response_model=TokenAnswer, openapi_extra=TOKEN_FORM)
@access(PUBLIC, limit="token")
def token(form: FormDep, service: ServiceDep) -> Response:
    """A token, for a password, a client's secret or a refresh token"""
    answer = service.identity.grants.token(form)
    body = answer.model_dump_json(exclude_none=True)
    return Response(body, mimetype="application/json", headers=NO_STORE)


@router.post("/token/revoke")
@typed(problems(*LOGIN), openapi_extra=REVOKE_FORM)
@access(PUBLIC, limit="token")
def revoke(form: FormDep, service: ServiceDep) -> RevokeAnswer:
    """Make a token worthless before it expires"""
    service.identity.grants.revoke(form)
    return RevokeAnswer()


@router.get("/.well-known/jwks.json")
@typed()
@access(PUBLIC)
def jwks(service: ServiceDep) -> JsonWebKeys:
    """The public keys that tokens can be checked with"""
    return JsonWebKeys.model_validate(service.identity.tokens.jwks())


@router.get("/me")
@typed()
@access(SIGNED_IN)
def me(caller: CallerDep, service: ServiceDep) -> Me:
    """Who am I, what may I do, and how much is left"""
    return service.me(caller)


@router.get("/keys")
@typed()
@access(SIGNED_IN)
def keys(caller: CallerDep, service: ServiceDep) -> KeyList:
    """My API keys"""
    return service.identity.grants.keys(caller)


@router.post("/keys")
@typed(problems(*BODY), response_model=NewKey, status_code=201)
@access(SIGNED_IN)
def add_key(body: KeyRequest, caller: CallerDep, service: ServiceDep) -> Response:
    """A new API key, shown this once"""
    answer = service.identity.grants.add_key(caller, body)
    body = answer.model_dump_json(exclude_none=True)
    return Response(body, 201, mimetype="application/json", headers=NO_STORE)


@router.delete("/keys/<prefix>")
@typed(problems("not-found"))
@access(SIGNED_IN)
def revoke_key(prefix: str, caller: CallerDep, service: ServiceDep) -> KeyAnswer:
    """Revoke one of my API keys"""
    return service.identity.grants.revoke_key(caller, prefix)
