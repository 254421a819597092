"""What a language model in a GGUF file costs, and how well it reads: python -m benchmarks.language_model FILE

llama.cpp alone, in this process, without a server of ours. Prints JSON, as `Measured` has it."""

import argparse
import json
import math
import secrets
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil

TEXT = Path(__file__).with_name("reading.txt")  # the kit's own, so that no model has learned it by heart
ROOT = Path(__file__).resolve().parents[1]
CONTEXT, SPOKEN, ROUNDS = 1024, 32, 2
FORCED = 1000.0  # added to a token's score: it is then chosen


@dataclass(frozen=True)
class Measured:
    size: int  # bytes of the file
    memory: int  # bytes that the process got larger by
    tokens_per_second: float  # that it writes: the best of ROUNDS
    prompt_per_second: float  # that it reads
    logprobs: list[float]  # of each token of the text, given those before it; the first has none

    @property
    def perplexity(self) -> float:
        return math.exp(-sum(self.logprobs) / len(self.logprobs))


class LanguageModel:
    """llama.cpp with one slot. Its own HTTP side is asked, with a key that is generated."""

    def __init__(self, file: Path, threads: int = 1) -> None:
        import xllamacpp

        key = secrets.token_hex(16)
        params = xllamacpp.CommonParams()
        params.model.path, params.api_keys, params.verbosity = str(file), [key], -1
        params.n_ctx, params.n_parallel, params.cache_ram_mib = CONTEXT, 1, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        self._server = xllamacpp.Server(params)
        self._http = httpx.Client(
            base_url=self._server.listening_address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
        )

    def __enter__(self) -> "LanguageModel":
        return self

    def __exit__(self, *_) -> None:
        self._http.close()
        self._server = None

    def ask(self, path: str, **body) -> dict:
        """llama.cpp's own routes."""
        return self._http.post(path, json=body).raise_for_status().json()

    def tokens(self, text: str) -> list[int]:
        return self.ask("/tokenize", content=text)["tokens"]

    def logprobs(self, tokens: list[int]) -> list[float]:
        """Natural logarithms of the probability of each token but the first, given those before it.

        Teacher forcing: llama.cpp tells the probability of a token only when it has chosen it. So each is
        made to be chosen by a bias to its score, which what it tells does not include; the next request
        goes on from what is in its cache. One token computed for each."""
        found = []
        for place in range(1, len(tokens)):
            answer = self.ask(
                "/completion",
                prompt=tokens[:place],
                n_predict=1,
                n_probs=1,
                temperature=0,
                logit_bias=[[tokens[place], FORCED]],
            )
            [said] = answer["completion_probabilities"]
            if said["id"] != tokens[place]:
                raise RuntimeError(f"llama.cpp chose token {said['id']}, expected {tokens[place]}")
            found.append(said["logprob"])
        return found

    def speeds(self, tokens: list[int]) -> tuple[float, float]:
        """Tokens a second, written and read."""
        written = read = 0.0
        for _ in range(ROUNDS):
            body = {"prompt": tokens[:SPOKEN], "n_predict": SPOKEN, "temperature": 0}
            times = self.ask("/completion", **body, cache_prompt=False, ignore_eos=True)["timings"]
            written = max(written, times["predicted_per_second"])
            read = max(read, times["prompt_per_second"])
        return written, read


def measure(file: Path, threads: int = 1) -> Measured:
    process = psutil.Process()
    before = process.memory_info().rss
    with LanguageModel(file, threads) as model:
        tokens = model.tokens(TEXT.read_text(encoding="utf-8"))
        logprobs = model.logprobs(tokens)
        memory = process.memory_info().rss - before
        return Measured(file.stat().st_size, memory, *model.speeds(tokens), logprobs)


def measured(file: Path, threads: int = 1) -> Measured:
    """The same in a process of its own, whose memory is the model's alone. Raises RuntimeError."""
    command = [sys.executable, "-m", "benchmarks.language_model", str(Path(file).resolve())]
    command += ["--threads", str(threads)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"{Path(file).name} could not be measured: {done.stderr.strip()[-300:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language_model", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    print(json.dumps(asdict(measure(options.file, options.threads))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
