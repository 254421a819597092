"""Which result it is: of which model, for whom, from which rows."""

import json
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from apps.service.model import Serving

FORMAT = 1  # of keys and of what Redis holds: raise it when either changes


class Wanted(NamedTuple):
    """A result that somebody asks for."""

    key: bytes  # as long as the rows
    serving: Serving
    count: int  # of rows


def wanted(tenant: str, serving: Serving, rows: list[list[float]]) -> Wanted:
    """Two requests have the same key only if model, version, model file, tenant, and every bit of every row
    are the same. The rows are those of one length that the model takes."""
    shape = len(rows), len(rows[0])
    told = head(tenant, serving.name, serving.version, serving.sha256, *shape)
    return Wanted(told + np.array(rows, "<f8").tobytes(), serving, len(rows))


@lru_cache(maxsize=4096)
def head(*parts: str | int) -> bytes:
    """As JSON, in which no two lists of parts look alike: with a colon between them, "a:b" and "c" would be
    "a" and "b:c"."""
    return json.dumps([FORMAT, *parts]).encode()
