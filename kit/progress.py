"""A plugin for pytest: hands out files, the longest first, and tells what is done and how far it is.

Loaded by `kit.suite`. A file stays in one process, because its tests share what they have started, and so
does a lesson with its exercises' gates, which write to the same folder.
"""

import re
import sys
import time
from collections import Counter
from functools import cache

import pytest
from xdist.scheduler import LoadScopeScheduling

from kit.suite import LONGEST

# nbval's nbformat takes it to check addresses, which no notebook of ours has: 1.4 s in each process
sys.modules.setdefault("rfc3987_syntax", None)
QUIET_SECONDS = 15  # after so long without a line, one tells what is being done
LESSON = re.compile(r"notebooks/(?:(\d\d)_|.*::test_the_check_says\w+\[lesson_(\d+))")


def group(test: str) -> str:
    """What is done in one process: a file, or a lesson with its exercises' gates, which share its folder."""
    lesson = LESSON.search(test)
    return f"lesson {lesson[1] or lesson[2]}" if lesson else test.partition("::")[0]


@cache
def rank(test: str) -> int:
    """How early a test should begin: 0 is first."""
    return next((n for n, name in enumerate(LONGEST) if test.startswith(name)), len(LONGEST))


class LongestFirst(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)

    def _assign_work_unit(self, node) -> None:
        longest = min(self.workqueue, key=lambda scope: min(map(rank, self.workqueue[scope])))
        self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> LongestFirst:
    config.option.loadscopereorder = False
    return LongestFirst(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config), "kit progress")


class Progress:
    """Prints a line for each group that is done and for each test that fails, and a verdict at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.started, self.said = config, time.monotonic(), time.monotonic()
        self.total, self.done, self.left = 0, 0, Counter()
        self.seconds: Counter[str] = Counter()
        self.outcomes: dict[str, Counter[str]] = {}

    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.total, self.left = len(ids), Counter(map(group, ids))

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self):
        """No dot for a test."""
        category, _, word = yield
        return category, "", word

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = group(report.nodeid)
        self.seconds[name] += report.duration
        if report.failed or report.when == "call" or report.skipped:
            self.outcomes.setdefault(name, Counter())[report.outcome] += 1
        if report.failed:
            self.say(f"FAILED {report.nodeid}")
        elif time.monotonic() - self.said > QUIET_SECONDS:
            self.say("at work on " + ", ".join(name for name in self.seconds if self.left[name]))
        if report.when == "teardown":
            self.done += 1
            self.left[name] -= 1
            if not self.left[name]:
                counts = ", ".join(f"{count} {what}" for what, count in self.outcomes[name].items())
                self.say(f"{name}: {counts} ({self.seconds[name]:.0f} s)")

    def say(self, text: str) -> None:
        self.said = time.monotonic()
        minutes, seconds = divmod(int(self.said - self.started), 60)
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        terminal.write_line(f"[{self.done:>5}/{self.total}  {minutes}:{seconds:02}] {text}", flush=True)

    def pytest_terminal_summary(self, terminalreporter, exitstatus: int) -> None:
        for what in ("tests", "notebooks"):
            lessons = what == "notebooks"
            found = [each for name, each in self.outcomes.items() if name.startswith("lesson ") == lessons]
            if found:
                failed = sum(each["failed"] for each in found)
                verdict = "passed" if exitstatus in (0, 1) else "not finished"
                terminalreporter.write_line(f"{what}: {f'failed ({failed})' if failed else verdict}")
