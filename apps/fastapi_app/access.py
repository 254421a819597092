"""Who may use the server: tokens, keys, and who am I. There only with ACCESS=on."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from apps.fastapi_app.dependencies import CallerDep, ServiceDep
from apps.frameworks.fastapi_views import CompiledRoute
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

router = APIRouter(route_class=CompiledRoute, tags=["access"])


async def form(request: Request) -> Form:
    return grants.form(request.scope["context"])


FormDep = Annotated[Form, Depends(form)]


@router.post("/token", response_model=TokenAnswer, responses=problems(*LOGIN), openapi_extra=TOKEN_FORM)
@access(PUBLIC, limit="token")
async def token(form: FormDep, service: ServiceDep) -> Response:
    """A token, for a password, a client's secret or a refresh token"""
    answer = await asyncio.to_thread(service.identity.grants.token, form)
    body = answer.model_dump_json(exclude_none=True)
    return Response(body, media_type="application/json", headers=NO_STORE)


@router.post("/token/revoke", responses=problems(*LOGIN), openapi_extra=REVOKE_FORM)
@access(PUBLIC, limit="token")
async def revoke(form: FormDep, service: ServiceDep) -> RevokeAnswer:
    """Make a token worthless before it expires"""
    await asyncio.to_thread(service.identity.grants.revoke, form)
    return RevokeAnswer()


@router.get("/.well-known/jwks.json")
@access(PUBLIC)
async def jwks(service: ServiceDep) -> JsonWebKeys:
    """The public keys that tokens can be checked with"""
    return JsonWebKeys.model_validate(service.identity.tokens.jwks())


@router.get("/me")
@access(SIGNED_IN)
async def me(caller: CallerDep, service: ServiceDep) -> Me:
    """Who am I, what may I do, and how much is left"""
    return await asyncio.to_thread(service.me, caller)


@router.get("/keys")
@access(SIGNED_IN)
async def keys(caller: CallerDep, service: ServiceDep) -> KeyList:
    """My API keys"""
    return await asyncio.to_thread(service.identity.grants.keys, caller)


@router.post("/keys", status_code=201, response_model=NewKey, responses=problems(*BODY))
@access(SIGNED_IN)
async def add_key(body: KeyRequest, caller: CallerDep, service: ServiceDep) -> Response:
    """A new API key, shown this once"""
    answer = await asyncio.to_thread(service.identity.grants.add_key, caller, body)
    body = answer.model_dump_json(exclude_none=True)
    return Response(body, 201, media_type="application/json", headers=NO_STORE)


@router.delete("/keys/{prefix}", responses=problems("not-found"))
@access(SIGNED_IN)
async def revoke_key(prefix: str, caller: CallerDep, service: ServiceDep) -> KeyAnswer:
    """Revoke one of my API keys"""
    return await asyncio.to_thread(service.identity.grants.revoke_key, caller, prefix)
