"""The three runtimes, each loaded once for all of a session's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.service.generation import llama as llama_cpp
from apps.service.generation.remote import RemoteRuntime
from apps.service.generation.tiny import TinyRuntime
from tests.generation.shape import CONTEXT, SLOTS, settings


@pytest.fixture(scope="session")
def tiny() -> Iterator[TinyRuntime]:
    runtime = TinyRuntime(settings())
    yield runtime
    runtime.close()


@pytest.fixture(scope="session")
def weights() -> Path:
    found = llama_cpp.weights()
    if found is None:
        pytest.skip("llama.cpp has no build for this machine")
    return found


@pytest.fixture(scope="session")
def llama(weights: Path) -> Iterator[llama_cpp.LlamaRuntime]:
    runtime = llama_cpp.LlamaRuntime(weights, "smollm2-135m-instruct", CONTEXT, SLOTS, 1)
    yield runtime
    runtime.close()


@pytest.fixture(scope="session")
def llama_server(weights: Path) -> Iterator[str]:
    """The address of llama.cpp's own HTTP server, which wants the key "secret"."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias, params.api_keys = str(weights), {"smollm2"}, ["secret"]
    params.n_ctx, params.n_parallel, params.port = CONTEXT * SLOTS, SLOTS, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    server = xllamacpp.Server(params)
    yield server.listening_address
    del server


@pytest.fixture(scope="session")
def remote(llama_server: str) -> Iterator[RemoteRuntime]:
    runtime = RemoteRuntime(settings(generation_url=f"{llama_server}/v1", generation_key="secret"))
    yield runtime
    runtime.close()
