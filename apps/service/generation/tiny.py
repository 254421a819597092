"""A tiny language model of the kit's own: it knows characters only, and needs little room and time.

Its file is made at first need, in a process of its own (model_training/generator.py)."""

import json
import logging
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from apps.service.generation.runtime import Encoded, Ended, Limits, Prompt, RuntimeFailed, Sampling
from apps.service.generation.stops import Stops

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "models" / "tiny.onnx"
TRAINER = "model_training.generator"
TRAINING_SECONDS = 600
END = "\0"  # of a paragraph: the model's one special token
PENALTY_WINDOW = 64  # tokens, as in llama.cpp
COLDEST = 1e-3  # a temperature below is one of 0


class TinyRuntime:
    """A token is a character. A chat's messages are paragraphs, and the answer is the one after them."""

    name = "tiny"

    def __init__(self, settings, file: Path = FILE) -> None:
        """Trains the model where there is none. Raises RuntimeFailed."""
        import onnxruntime

        if not file.exists():
            train(file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong is raised as well
        try:
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            self._characters = json.loads(self._session.get_modelmeta().custom_metadata_map["characters"])
            self._numbers = {character: number for number, character in enumerate(self._characters)}
            self._end = self._numbers.pop(END)  # who writes it has an unknown character
        except Exception as error:  # onnxruntime raises a class of its own for each kind of fault
            raise RuntimeFailed(
                f"{file} does not load ({type(error).__name__}). Make it anew: python kit.py train tiny"
            ) from None
        entry = self._session.get_inputs()[0]
        self._input, self._context = entry.name, entry.shape[1] // len(self._characters)
        self._offsets = np.arange(self._context) * len(self._characters)
        self._closed = False
        self.created = int(file.stat().st_mtime)
        self.limits = Limits(settings.generation_context, settings.generation_slots, schemas=False)

    def encode(self, prompt: Prompt) -> Encoded:
        found = []
        for message in prompt.messages:
            found += [*self._encoded(message["content"]), self._end]
        found += self._encoded(prompt.text)
        return Encoded(found, len(found))

    def _encoded(self, text: str) -> list[int]:
        """Of characters that were not in what it learned from, none says anything."""
        return [self._numbers.get(character, len(self._characters)) for character in text]

    def generate(
        self, encoded: Encoded, sampling: Sampling, salt: str, emit: Callable[[str, int], bool]
    ) -> Ended:
        """There is no cache, and so nothing to keep apart by `salt`."""
        stops = Stops(sampling.stop)
        for count, token in enumerate(self._tokens(encoded.value, sampling), 1):
            text = "" if token == self._end else stops.add(self._characters[token])
            stopped = token == self._end or stops.found
            full = count == sampling.max_tokens
            if stopped or full:
                text += stops.rest()
            if emit(text, 1) or stopped or full:
                return Ended("length" if full and not stopped else "stop", encoded.tokens, count)

    def _tokens(self, prompt: list[int], sampling: Sampling) -> Iterator[int]:
        chance = random.Random(sampling.seed)
        history = [self._end] * self._context + prompt
        size = len(self._characters)
        while True:
            if self._closed:
                raise RuntimeFailed("the model is being unloaded")
            recent = np.array(history[-self._context :])
            known = recent < size
            row = np.zeros((1, size * self._context), np.float32)
            row[0, (self._offsets + recent)[known]] = 1
            (shares,) = self._session.run(["probabilities"], {self._input: row})
            penalised = history[max(self._context, len(history) - PENALTY_WINDOW) :]
            token = choose(np.log(shares[0].astype(float) + 1e-12), penalised, sampling, chance)
            history.append(token)
            yield token

    def close(self) -> None:
        self._closed = True


def choose(scores: np.ndarray, recent: list[int], sampling: Sampling, chance: random.Random) -> int:
    """The next token, by the logarithms of all tokens' probabilities and the tokens before it."""
    counts = np.bincount(np.array(recent, dtype=int), minlength=len(scores))[: len(scores)]
    scores[counts > 0] *= sampling.repetition_penalty
    scores -= counts * sampling.frequency_penalty + (counts > 0) * sampling.presence_penalty
    if sampling.temperature < COLDEST:
        return int(scores.argmax())
    shares = np.exp((scores - scores.max()) / sampling.temperature)
    shares /= shares.sum()
    if sampling.top_p < 1:
        order = np.argsort(-shares, kind="stable")
        shares[order[np.searchsorted(np.cumsum(shares[order]), sampling.top_p) + 1 :]] = 0
    sums = np.cumsum(shares)
    return int(np.searchsorted(sums[:-1], chance.random() * sums[-1], side="right"))


def train(file: Path) -> None:
    """Raises RuntimeFailed."""
    logging.getLogger(__name__).warning("training the tiny language model, once: it takes ten seconds or so")
    command = [sys.executable, "-m", TRAINER, "--once", "--file", str(file)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=TRAINING_SECONDS
        )
        failed = done.returncode and (done.stderr.strip().splitlines() or ["no message"])[-1]
    except (OSError, subprocess.TimeoutExpired) as error:
        failed = type(error).__name__
    if failed:
        raise RuntimeFailed(f"the tiny model cannot be trained: {failed}")
