"""What generation counts, for Prometheus; there only with GENERATION=on."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from apps.service.generation.run import Run
from apps.service.generation.runtime import Ended

WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
EACH = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)


class GenerationMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._tokens = Counter(
            "generation_tokens",
            "Tokens: of prompts, of prompts and in the cache, and generated",
            ["kind"],
            registry=registry,
        )
        self._cost = Counter(
            "generation_cost",
            "What tokens cost, by GENERATION_PRICES",
            ["model", "currency"],
            registry=registry,
        )
        self._memory = Gauge(
            "generation_model_bytes",
            "Memory that the model took when a process loaded it; 0 where another server runs it. Weights "
            "that are mapped from a file are the same in all workers",
            ["model"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._usage_kept = Gauge(
            "generation_usage_kept",
            "1 where what was used is written to the database, 0 where it waits for it",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._texts = Counter(
            "generation_texts",
            "Texts by how they ended: stop, length, content_filter, cancelled, timeout, failed, recalled",
            ["ended"],
            registry=registry,
        )
        self._queued = Histogram(
            "generation_queue_seconds", "Waiting for a slot", buckets=WAITS, registry=registry
        )
        self._first = Histogram(
            "generation_first_token_seconds",
            "From the request to its first token",
            buckets=WAITS,
            registry=registry,
        )
        self._each = Histogram(
            "generation_token_seconds",
            "Between two tokens, on average of a text",
            buckets=EACH,
            registry=registry,
        )
        live = {"registry": registry, "multiprocess_mode": "livesum"}
        self._running = Gauge("generation_running", "Texts that are being generated", **live)
        self._waiting = Gauge("generation_waiting", "Texts that wait for a slot", **live)
        self._slots = Gauge("generation_slots", "Texts that can be generated at a time", **live)

    def follow(self, slots: int, running: Callable[[], int], waiting: Callable[[], int]) -> None:
        self._slots.set(slots)
        self._running_now, self._waiting_now = running, waiting

    def changed(self) -> None:
        """Something has begun, ended, or waits."""
        self._running.set(self._running_now())
        self._waiting.set(self._waiting_now())

    def loaded(self, model: str, memory: int) -> None:
        """`memory` in bytes."""
        self._memory.labels(model).set(memory)

    def usage_kept(self, kept: bool) -> None:
        self._usage_kept.set(int(kept))

    def used(self, model: str, currency: str, prompt: int, cached: int, completion: int, cost: float) -> None:
        """A prompt was read, once for all its choices, or a choice has ended."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("cached").inc(cached)
        self._tokens.labels("completion").inc(completion)
        self._cost.labels(model, currency).inc(cost)

    def recalled(self) -> None:
        """A text was kept, and is sent again."""
        self._texts.labels("recalled").inc()

    def ended(self, run: Run, ended: Ended, how: str) -> None:
        times, now = run.times, time.monotonic()
        self._texts.labels(how).inc()
        self._queued.observe(times.begun - times.asked)
        if times.first:
            self._first.observe(times.first - times.asked)
            if ended.completion_tokens > 1:
                self._each.observe((now - times.first) / (ended.completion_tokens - 1))
