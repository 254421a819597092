"""What a server says of its language model: which it is, what was used of it, and its answers."""

import json
from dataclasses import dataclass, field
from typing import Any

from ui import answers, client
from ui.answers import Failure
from ui.servers import Server

CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Used:
    """Tokens, `cached` being some of the `prompt`'s, and what they cost; "" where nobody says in which
    currency."""

    prompt: int
    cached: int
    completion: int
    cost: float = 0.0
    currency: str = ""


@dataclass(frozen=True)
class Chunk:
    """A piece of an answer. By the name of a filter that found something, whether it refused the text:
    `in_prompt`, `in_answer`."""

    model: str
    text: str
    finish_reason: str
    used: Used | None
    in_prompt: dict[str, bool] = field(default_factory=dict)
    in_answer: dict[str, bool] = field(default_factory=dict)


def name(server: Server) -> str | Failure:
    """GET /v1/models: the first one's name."""
    exchange = client.send(server, "GET", "/v1/models")
    if isinstance(exchange, Failure):
        return answers.generating(exchange)
    if exchange.status == 404 and exchange.body is not None:
        return answers.no_language_model(exchange)
    if exchange.status != 200:
        return answers.refused(exchange, "its language models")
    try:
        return _text(exchange.body["data"][0]["id"])
    except (ValueError, TypeError, LookupError):
        return answers.unexpected(exchange, "a list of language models")


def used_today(server: Server) -> list[Used] | Failure:
    """GET /v1/usage: what the caller's tenant has used today, by model."""
    exchange = client.send(server, "GET", "/v1/usage?days=1")
    if isinstance(exchange, Failure):
        return answers.generating(exchange)
    if exchange.status != 200:
        return answers.refused(exchange, "what was used")
    try:
        return [
            Used(
                *(_count(one[name]) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")),
                _amount(one["cost"]),
                _text(one["currency"]),
            )
            for one in exchange.body["data"]
        ]
    except (ValueError, TypeError, LookupError):
        return answers.unexpected(exchange, "what was used")


def read_chunk(data: str) -> Chunk:
    """ValueError for what is no chunk of a chat's answer."""
    try:
        body = json.loads(data)
        choice = next(iter(body["choices"]), {})
        told, delta = body.get("usage"), choice.get("delta") or {}
        prompts = body.get("prompt_filter_results") or [{}]
        return Chunk(
            _text(body.get("model") or ""),
            delta.get("content") or "",
            _text(choice.get("finish_reason") or ""),
            read_used(told) if told else None,
            _found(prompts[0].get("content_filter_results")),
            _found(choice.get("content_filter_results")),
        )
    except (TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError from error


def read_used(usage: Any) -> Used:
    """OpenAI's `usage`, with what it costs where the server says so."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    counts = usage["prompt_tokens"], cached, usage["completion_tokens"]
    cost = usage.get("cost") is not None
    return Used(
        *map(_count, counts),
        _amount(usage["cost"]) if cost else 0.0,
        _text(usage.get("currency") or "") if cost else "",
    )


def read_error(data: str) -> tuple[str, str]:
    """Why a stream has ended early: the problem's slug, and what is said of it. ValueError for none."""
    try:
        error = json.loads(data)["error"]
        return _text(error.get("code") or ""), _text(error["message"])
    except (TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError from error


def _found(results: Any) -> dict[str, bool]:
    return {_text(name): bool(result.get("filtered")) for name, result in (results or {}).items()}


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _amount(value: Any) -> float:
    if not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ValueError
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value[:300]
