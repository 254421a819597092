"""`python kit.py test`: the tests and the notebooks, several processes at the same time."""

import os
import sys

from kit.environment import ROOT
from kit.processes import run_through

# What takes long, the longest first: begun in this order, and left out by --quick. A name is that of a file,
# or of what begins so.
LONGEST = (
    "tests/docs/test_own_environment.py",
    "tests/ui/test_browser.py",
    "tests/kit",
    "tests/docs/test_book.py",
    "tests/docs/test_blocks.py",
    "tests/docs/test_started.py",
    "notebooks/10",
    "notebooks/12",
    "notebooks/11",
    "notebooks/13",
    "notebooks/15",
    "notebooks/08",
    "notebooks/14",
    "tests/contract/test_lifecycle.py",
    "tests/contract/test_workers.py",
    "tests/deploy/test_rolling_update.py",
    "tests/contract/test_generation.py",
    "tests/ui/test_models_page.py",
    "tests/ui/test_browser_models.py",
    "tests/contract/test_feedback.py",
    "tests/contract/test_generation_budget.py",
    "notebooks/04",
    "tests/notebooks/test_exercise_gates.py::test_the_check_says",
    "tests/ui/test_pages.py",
    "tests/ui/test_follow.py",
    "tests/ui/test_browser_access.py",
    "tests/ui/test_docs_page.py",
    "notebooks/09",
    "notebooks/",
    "tests/contract/test_model_file.py",
    "tests/benchmarks",
    "tests/contract/test_rate_limits.py",
    "tests/contract/test_mixed.py",
    "tests/ui/test_browser_chat.py",
    "tests/ui/test_mixed_models.py",
    "tests/ui/test_batch_polling.py",
    "tests/registry",
    "tests/contract/test_registry_agent.py",
    "tests/contract/test_model_registry.py",
    "tests/contract/test_generation_ws.py",
    "tests/ui/test_monitor_page.py",
    "tests/ui/test_chat_page.py",
    "tests/ui/test_explanation.py",
    "tests/training/test_adopt_mixed.py",
    "tests/contract/test_jobs.py",
    "tests/contract/test_job_uploads.py",
    "tests/contract/test_streamed_bodies.py",
    "tests/jobs",
    "tests/ui/test_batch_jobs.py",
    "tests/contract/test_cache.py",
    "tests/contract/test_observability.py",
    "tests/notebooks/test_servers.py",
    "tests/test_forked.py",
    "tests/contract/test_differential.py",
    "tests/contract/test_privacy.py",
    "tests/generation/test_tiny.py",
    "tests/service/test_added_by_others.py",
    "tests/service/test_prediction_log.py",
    "tests/service/test_counting.py",
    "tests/contract/test_added_routes.py",
    "tests/contract/test_explanations.py",
    "tests/ui/test_load_page.py",
    "tests/contract/test_access.py",
    "tests/service/test_accounts.py",
    "tests/contract/test_model_states.py",
    "tests/ui/test_access_page.py",
    "tests/generation/test_remote.py",
    "tests/generation/test_runtimes.py",
    "tests/generation/test_own_files.py",
    "tests/generation/test_llama.py",
    "tests/docs/test_links.py",
    "tests/contract/test_schemathesis.py",
    "tests/contract/test_limits.py",
    "tests/contract/test_cardinality.py",
    "tests/contract/test_server_timing.py",
    "tests/contract/test_grants.py",
    "tests/contract/test_granian.py",
    "tests/contract/test_oauth_clients.py",
    "tests/notebooks/test_load_result.py",
    "tests/contract/test_postgres.py",
    "tests/ui/test_new_answer.py",
    "tests/contract/test_slow_clients.py",
    "tests/contract/test_adopted.py",
    "tests/training/test_artifact.py",
    "tests/ui/test_batch_page.py",
    "tests/deploy",
    "tests/contract/test_api_keys.py",
    "tests/contract/test_tokens.py",
)
# Threads of NumPy's and scikit-learn's libraries that wait for work spin, which takes the cores from other
# processes: in a full house, to train a model took ten times as long. So they sleep.
QUIET_THREADS = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_THREAD_TIMEOUT": "4"}


def test(arguments: list[str]) -> int:
    """pytest with the arguments. Without any: all tests, and every notebook compared strictly with a fresh
    run. With --quick: the tests that take a minute in all."""
    os.environ.update(QUIET_THREADS)
    pytest = [sys.executable, "-m", "pytest"]
    if arguments and arguments != ["--quick"]:
        return run_through([*pytest, *arguments])
    processes = min((os.cpu_count() or 1) + 2, 8)  # more than cores: many tests wait most of their time
    command = [*pytest, "-p", "kit.progress", "--numprocesses", str(processes), "tests"]
    if arguments:
        left_out = [name for name in LONGEST if name.startswith("tests/")]
        command += [f"--{'deselect' if '::' in name else 'ignore'}={name}" for name in left_out]
        print(f"The tests that are quick, in {processes} processes:", flush=True)
        return run_and_tidy(command)
    if notebooks := sorted(str(path) for path in (ROOT / "notebooks").glob("*.ipynb")):
        command += ["--nbval", "--nbval-cell-timeout=300", *notebooks]
        if (sanitize := ROOT / "tests" / "notebooks" / "sanitize.cfg").exists():
            command += ["--nbval-sanitize-with", str(sanitize)]
    print(f"All tests, and {len(notebooks)} notebooks, in {processes} processes:", flush=True)
    return run_and_tidy(command)


def run_and_tidy(command: list[str]) -> int:
    """Run it, and stop the servers of those of its processes that were ended before they could."""
    code = run_through(command)
    sys.path.insert(0, str(ROOT / "notebooks"))
    from classroom.processes import reclaim

    reclaim()
    return code
