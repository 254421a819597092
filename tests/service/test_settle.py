"""What a server keeps out of the collections of garbage, once its model is loaded."""

import gc
import weakref

from apps.servers.workers import settle


class Part:
    """Refers to itself, as parts of libraries do, so that only a collection ends it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_a_replaced_model_has_left_ends_when_the_next_one_is_there():
    try:
        part = Part()
        settle()
        left = weakref.ref(part)
        del part
        gc.collect()
        assert left() is not None  # nobody looks at it
        settle()
        assert left() is None
    finally:
        gc.unfreeze()
