"""What one request costs: told of each of its choices when that has ended, however it did."""

import threading

from apps.service.access.policies import Asked
from apps.service.generation.budget import Budget
from apps.service.generation.runtime import Ended
from apps.service.generation.usage import Usage


class Bill:
    """The prompt is read for all choices together, and stands on it once."""

    def __init__(
        self,
        usage: Usage,
        budget: Budget | None,
        asked: list[Asked],
        tenant: str,
        model: str,
        prompt_tokens: int,
        choices: int,
    ) -> None:
        """`prompt_tokens` were spent for those who `asked`; where another server generates, an estimate."""
        self._usage, self._budget, self._asked = usage, budget, asked
        self._tenant, self._model, self._spent, self._left = tenant, model, prompt_tokens, choices
        self._read = False
        self._lock = threading.Lock()

    def add(self, ended: Ended) -> None:
        """From a thread that generates. What was never begun has no tokens."""
        with self._lock:
            first = not self._read and ended.prompt_tokens > 0
            self._read = self._read or first
            self._left -= 1
            nothing = not self._left and not self._read
        prompt, cached = (ended.prompt_tokens, ended.cached_tokens) if first else (0, 0)
        if first or ended.completion_tokens:
            self._usage.add(self._tenant, self._model, int(first), prompt, cached, ended.completion_tokens)
        if self._budget is not None:
            corrected = prompt - self._spent if first else 0
            given_back = self._spent if nothing else 0
            self._budget.spend(self._asked, ended.completion_tokens + corrected - given_back)

    def cancel(self) -> None:
        """It was refused, after its prompt had been paid for."""
        if self._budget is not None:
            self._budget.spend(self._asked, -self._spent)
