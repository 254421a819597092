"""What a setting may be: types that check the text of the environment, and say what they expected."""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from apps.service.access.declared import SCOPES
from apps.service.hosts import LAST_PORT

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pause = Annotated[float, Field(ge=0, allow_inf_nan=False)]
CLASSES = (*SCOPES, "account", "token")
Port = Annotated[int, Field(ge=0, le=LAST_PORT)]


def address(text: str) -> str:
    """Without the slash at its end. Raises ValueError for what is no address of the web."""
    if not re.fullmatch(r"https?://[^\s\"'<>]+", text):
        raise ValueError("expected an address such as http://127.0.0.1:8600")
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(address)]


def names(text: str) -> str:
    """Names of hosts, with commas between. Raises ValueError for what is none."""
    found = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in found:
        if not re.fullmatch(r"\*|(\*\.)?[a-z0-9_][a-z0-9_.-]*|[0-9a-f:]+", name):
            raise ValueError("expected names such as example.org,*.example.net, without ports, or *")
    return ",".join(found)


Names = Annotated[str, AfterValidator(names)]


def rates(text: str) -> str:
    """Rates of classes, with commas between. Raises ValueError for what is none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if not re.fullmatch(rf"(({'|'.join(CLASSES)})=)?[1-9]\d{{0,5}}/(second|minute|hour|day)", part):
            raise ValueError(
                "expected 600/minute, or predict=600/minute: a number below a million, of a second, minute, "
                f"hour or day, and a class among {', '.join(CLASSES)}"
            )
    return ",".join(parts)


Rates = Annotated[str, AfterValidator(rates)]


def token_quotas(text: str) -> str:
    """How many tokens in how long, with commas between. Raises ValueError for what is none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    units = [part.partition("/")[2] for part in parts]
    if not all(re.fullmatch(r"[1-9]\d{0,11}/(minute|hour|day)", part) for part in parts) or len(
        set(units)
    ) < len(units):
        raise ValueError(
            "expected 20000/minute, or 20000/minute,200000/day: numbers below 10^12, each of another one of "
            "minute, hour and day"
        )
    return ",".join(parts)


TokenQuotas = Annotated[str, AfterValidator(token_quotas)]


def networks(text: str) -> str:
    """Addresses and networks, with commas between. Raises ValueError for what is none."""
    for part in text.split(","):
        try:
            ip_network(part.strip() or "127.0.0.1", strict=False)
        except ValueError:
            raise ValueError("expected addresses or networks such as 127.0.0.1,10.0.0.0/8") from None
    return text


Networks = Annotated[str, AfterValidator(networks)]


def redis_address(text: str) -> str:
    """Raises ValueError for what is none, and for options, which would win over the timeouts."""
    user, host, port = r"([^\s/@?#]*@)?", r"([\w.-]+|\[[0-9a-fA-F:.]+\])", r"(:(?P<port>\d{1,5}))?"
    found = re.fullmatch(rf"rediss?://{user}{host}{port}(/\d{{0,4}})?|unix://{user}/[^\s?#]+", text)
    if not found or int(found["port"] or 6379) > LAST_PORT:
        raise ValueError(
            "expected an address such as redis://127.0.0.1:6379/0, redis://:password@127.0.0.1 or "
            "unix:///run/redis.sock, without options, and with %-escapes in a password"
        )
    return text


RedisAddress = Annotated[str, AfterValidator(redis_address)]


def broker_address(text: str) -> str:
    """Raises ValueError for what is none."""
    if not re.fullmatch(r"amqps?://([^\s/@?#]*@)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[^\s?#]*)?", text):
        raise ValueError(
            "expected an address such as amqp://user:password@127.0.0.1:5672/vhost, without options, and "
            "with %-escapes in a password"
        )
    return text


BrokerAddress = Annotated[str, AfterValidator(broker_address)]


def model_uri(text: str) -> str:
    """Raises ValueError for what is none: no address of the web or of a file is."""
    name = r"[a-z0-9][a-z0-9._-]{0,63}"
    if not re.fullmatch(
        rf"models:/{name}(@(?!(active|pinned|followed)$){name}|/[1-9]\d{{0,8}})", text, re.ASCII
    ):
        raise ValueError(
            "expected models:/NAME@ALIAS, such as models:/iris@champion, or models:/NAME/VERSION"
        )
    return text


ModelUri = Annotated[str, AfterValidator(model_uri)]


def language_model(text: str) -> str:
    """A model by its name, or the file of one. Raises ValueError for what is neither."""
    if text not in ("auto", "smollm2", "tiny") and not text.endswith(".gguf"):
        raise ValueError("expected auto, smollm2, tiny, or a file such as models/mine.gguf")
    return text


LanguageModelName = Annotated[str, AfterValidator(language_model)]
