"""How large the models of these tests are: small, since the real one computes on every token."""

from apps.service.settings import Settings

CONTEXT, SLOTS = 512, 2


def settings(**given) -> Settings:
    shape = {"generation_context": CONTEXT, "generation_slots": SLOTS, "generation_seconds": 60}
    return Settings(**{**shape, **given})
