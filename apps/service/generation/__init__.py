"""Text from a language model: GENERATION=on."""

from pathlib import Path

import psutil

from apps.service.generation.budget import Budget
from apps.service.generation.counted import GenerationMetrics
from apps.service.generation.generator import Generator
from apps.service.generation.prices import OURS, prices_in
from apps.service.generation.runtime import Runtime, RuntimeFailed
from apps.service.generation.usage import Usage
from apps.service.settings import SettingsError

__all__ = ["Generator", "generator_of", "runtime_of"]


def generator_of(settings, log, metrics, counts=None) -> Generator:
    """`counts`: where limits are counted, which is there with quotas of tokens. Raises SettingsError."""
    from apps.service.generation.moderation import Policy

    counted = GenerationMetrics(metrics.registry)
    prices = prices_in(settings.generation_prices or OURS)
    usage = Usage(settings, prices, log, counted)
    budget = Budget(settings, counts, metrics) if settings.budgeted else None
    policy = Policy(settings, log, metrics)
    before = resident()
    runtime = runtime_of(settings)
    if not settings.generation_url:  # another server's memory is its own, and it may not be there yet
        counted.loaded(runtime.name, max(resident() - before, 0))
        if runtime.name not in prices.models:
            log.info("this model has no price: it costs nothing", model=runtime.name)
    return Generator(settings, log, counted, runtime, policy, usage, budget)


def resident() -> int:
    """Memory of this process, in bytes."""
    return psutil.Process().memory_info().rss


def runtime_of(settings) -> Runtime:
    """What runs the model that the settings name. Raises SettingsError."""
    if settings.generation_url:
        from apps.service.generation.remote import RemoteRuntime

        return RemoteRuntime(settings)
    from apps.service.generation import llama

    wanted = settings.generation_model
    own = Path(wanted) if wanted.endswith(llama.SUFFIX) else None
    try:
        if own:
            llama.check(own)
        if file := None if wanted == "tiny" else own or llama.weights():
            shape = settings.generation_context, settings.generation_slots, settings.generation_threads
            return llama.LlamaRuntime(file, own.stem.lower() if own else llama.NAME, *shape)
        if wanted == "smollm2":
            raise RuntimeFailed(f"smollm2 is not installed. {llama.REMEDY}, or set GENERATION_MODEL=tiny")
        from apps.service.generation.tiny import TinyRuntime

        return TinyRuntime(settings)
    except RuntimeFailed as error:
        raise SettingsError(f"GENERATION_MODEL: {error}") from None
