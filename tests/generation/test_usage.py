"""What tokens cost, and what was used: in a SQLite file, and in a real PostgreSQL where there is one."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest
from postgres import postgres
from prometheus_client import CollectorRegistry

from apps.service.generation import usage as usages
from apps.service.generation.counted import GenerationMetrics
from apps.service.generation.prices import OURS, UNIT, prices_in
from apps.service.generation.usage import Unavailable, Usage, UsageOfDay, days_of
from apps.service.problems import Problem
from apps.service.settings import Settings, SettingsError

TODAY = date(2026, 11, 28)
PRICES = 'currency = "EUR"\n[models.m]\nprompt = 2\ncached = 0.1\ncompletion = 10.000001\n'


class Log(list):
    def error(self, words, **fields) -> None:
        self.append(words)

    info = warning = error


@pytest.fixture(autouse=True)
def today(monkeypatch) -> None:
    monkeypatch.setattr(usages, "today", lambda: TODAY)


@pytest.fixture
def prices(tmp_path) -> Path:
    file = tmp_path / "prices.toml"
    file.write_text(PRICES)
    return file


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as found:
        yield found.url


class Kept:
    """Where usage is kept, for as many processes as there are Usage objects."""

    def __init__(self, url: str | None, folder: Path, prices: Path) -> None:
        self.settings = Settings.model_construct(database_url=url, generation_folder=folder)
        self.prices, self.log = prices_in(prices), Log()
        self.registry = CollectorRegistry()
        self._metrics = GenerationMetrics(self.registry)

    def open(self) -> Usage:
        return Usage(self.settings, self.prices, self.log, self._metrics)


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def kept(request, tmp_path, prices) -> Kept:
    url = request.getfixturevalue("server") if request.param == "PostgreSQL" else None
    return Kept(url, tmp_path / "generation", prices)


@pytest.fixture
def file(tmp_path, prices) -> Kept:
    return Kept(None, tmp_path / "generation", prices)


def row(model: str, requests: int, prompt: int, cached: int, completion: int, cost: int, day=TODAY):
    amounts = {"prompt_tokens": prompt, "cached_tokens": cached, "completion_tokens": completion}
    told = {"date": day.isoformat(), "model": model, "requests": requests, "currency": "EUR"}
    return UsageOfDay(**told, **amounts, cost=cost / UNIT)


# --- prices


def test_what_tokens_cost(prices):
    found = prices_in(prices)
    assert found.cost("m", 10**6, 0, 0) == 2 * UNIT
    assert found.cost("m", 10**6, 10**6, 0) == UNIT // 10
    assert found.cost("m", 3, 2, 1) == (2_000_000 + 2 * 100_000 + 10_000_001)
    assert found.cost("another", 10**6, 0, 10**6) == 0


def test_the_kit_s_own_table_has_its_models_and_says_where_others_prices_are_from():
    found = prices_in(OURS)
    ours = {"smollm2-135m-instruct", "tiny"}
    assert ours < set(found.models)
    for name, price in found.models.items():
        assert bool(price.source) is (name not in ours)
        assert price.cached <= price.prompt < price.completion or name == "tiny"
        assert name in ours or ("20" in price.source and "https://" in price.source)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("currency", "expected TOML"),
        ('currency = "euros"\n[models]\n', "currency"),
        ('currency = "EUR"\n', "models"),
        (PRICES.replace("prompt = 2", "prompt = -2"), "models.m.prompt"),
        (PRICES.replace("prompt = 2", "prompt = 0.0000001"), "models.m.prompt"),
        (PRICES.replace("prompt = 2", "prompt = nan"), "models.m.prompt"),
        (PRICES.replace("cached = 0.1\n", ""), "models.m.cached"),
        (PRICES + "input = 3\n", "models.m.input"),
    ],
)
def test_a_table_that_is_none_is_told(prices, text, told):
    prices.write_text(text)
    with pytest.raises(SettingsError) as error:
        prices_in(prices)
    assert str(error.value).startswith("GENERATION_PRICES: ") and told in str(error.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match="GENERATION_PRICES: the file cannot be read"):
        prices_in(tmp_path / "none.toml")


# --- usage


def test_what_was_used_is_added_up_by_day_tenant_and_model(kept, monkeypatch):
    usage, tenant = kept.open(), "added up"
    usage.add(tenant, "m", 1, 100, 40, 7)
    usage.add(tenant, "m", 0, 0, 0, 3)
    usage.add(tenant, "other", 1, 5, 0, 5)
    usage.add("another tenant", "m", 1, 9, 0, 9)
    monkeypatch.setattr(usages, "today", lambda: TODAY - timedelta(days=2))
    usage.add(tenant, "m", 1, 10, 0, 0)
    monkeypatch.undo()
    monkeypatch.setattr(usages, "today", lambda: TODAY)
    cost = kept.prices.cost("m", 100, 40, 10)
    now = [row("m", 1, 100, 40, 10, cost), row("other", 1, 5, 0, 5, 0)]
    before = row("m", 1, 10, 0, 0, kept.prices.cost("m", 10, 0, 0), TODAY - timedelta(days=2))
    assert usage.report(tenant, 30).data == usage.report(tenant, 3).data == [*now, before]
    assert usage.report(tenant, 2).data == usage.report(tenant, 1).data == now
    assert usage.report("nobody", 30).data == []
    usage.close()


def test_several_processes_add_to_the_same_rows_and_nothing_is_lost(kept):
    open_ = [kept.open() for _ in range(4)]

    def work(usage: Usage) -> None:
        for _ in range(20):
            usage.add("shared", "m", 1, 3, 1, 2)
            usage.add("shared", "n", 1, 0, 0, 1)
            usage._write()

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(work, open_)] == [None] * 4
    assert open_[0].report("shared", 1).data == [
        row("m", 80, 240, 80, 160, 80 * kept.prices.cost("m", 3, 1, 2)),
        row("n", 80, 0, 0, 80, 0),
    ]
    for usage in open_:
        usage.close()


def test_what_is_used_while_the_database_is_away_is_written_when_it_is_back(file):
    usage = file.open()
    usage.add("t", "m", 1, 1, 0, 1)
    usage._write()
    database = sqlite3.connect(file.settings.generation_folder / "usage.db", isolation_level=None)
    database.execute("ALTER TABLE generation_usage RENAME TO away")
    usage.add("t", "m", 1, 2, 0, 2)
    for _ in range(3):
        usage._write_with_luck()
    assert file.registry.get_sample_value("generation_usage_kept") == 0
    assert file.log == ["the database of usage does not answer"]
    with pytest.raises(Unavailable) as problem:
        usage.report("t", 1)
    assert problem.value.status == 503
    usage.add("t", "m", 1, 4, 0, 4)
    database.execute("ALTER TABLE away RENAME TO generation_usage")
    usage._write_with_luck()
    assert file.registry.get_sample_value("generation_usage_kept") == 1
    assert file.log[1:] == ["the database of usage answers again"]
    assert usage.report("t", 1).data == [row("m", 3, 7, 0, 7, file.prices.cost("m", 7, 0, 7))]
    database.close()
    usage.close()


def test_what_waits_for_the_database_is_bounded_and_the_loss_is_told_once(file, monkeypatch):
    monkeypatch.setattr(usages, "MOST_LINES", 3)
    usage = file.open()
    for tenant in "abcdeabcde":
        usage.add(tenant, "m", 1, 1, 0, 1)
    assert [word for word in file.log if "lost" in word] == [
        "usage is lost: the database has been away for too long"
    ]
    found = [usage.report(tenant, 1).data for tenant in "abcde"]
    one = row("m", 2, 2, 0, 2, file.prices.cost("m", 2, 0, 2))
    assert found == [[one], [one], [one], [], []]
    usage.close()


def test_the_thread_writes_and_so_does_the_end(file):
    usage = file.open()
    usage.start()
    usage.add("t", "m", 1, 1, 0, 1)
    usage.close()
    again = file.open()
    assert again.report("t", 1).data == [row("m", 1, 1, 0, 1, file.prices.cost("m", 1, 0, 1))]
    again.close()


def test_the_metrics_tell_the_same(file):
    usage = file.open()
    usage.add("t", "m", 1, 100, 40, 7)
    usage.add("u", "m", 0, 0, 0, 3)
    kinds = {"prompt": 100, "cached": 40, "completion": 10}
    for kind, tokens in kinds.items():
        assert file.registry.get_sample_value("generation_tokens_total", {"kind": kind}) == tokens
    cost = file.registry.get_sample_value("generation_cost_total", {"model": "m", "currency": "EUR"})
    assert cost == pytest.approx(file.prices.cost("m", 100, 40, 10) / UNIT)
    usage.close()


def test_a_place_that_cannot_be_used_is_told(tmp_path, prices):
    (tmp_path / "taken").write_text("")
    with pytest.raises(SettingsError, match="GENERATION_FOLDER: "):
        Kept(None, tmp_path / "taken", prices).open()
    with pytest.raises(SettingsError, match="DATABASE_URL: expected a URL") as error:
        Kept("nonsense", tmp_path / "here", prices).open()
    assert "nonsense" not in str(error.value)


@pytest.mark.parametrize(("text", "days"), [(None, 30), ("1", 1), ("366", 366), ("007", 7)])
def test_how_many_days(text, days):
    assert days_of(text) == days


@pytest.mark.parametrize("text", ["", "0", "367", "-1", "1.5", "²", "x" * 10_000, "9" * 5000])
def test_days_that_are_none_are_refused(text):
    with pytest.raises(Problem) as problem:
        days_of(text)
    assert problem.value.kind.slug == "invalid-input"
