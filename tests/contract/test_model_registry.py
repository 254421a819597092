"""Models in motion: followed, swapped under load, refused, tried on some callers and in the shadow."""

import json
import os
import time
from itertools import pairwise

import pytest
from classroom.servers import Server
from followed import (
    ANSWERS,
    SETOSA,
    Clients,
    Followed,
    answer_of,
    followed,
    make_models,
    version_of,
)
from pairs import FULL, each_worker
from promises import check_answer, comparable
from wire import Answer, request_bytes, send

from apps import fastapi_app, flask_app
from apps.service.registry.rollout import part
from model_training.registry.store import Pointer, Rollout
from tests.waiting import PATIENCE

WITHIN = 2  # seconds in which a swap has reached every process: what the servers promise
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict:
    return make_models(tmp_path_factory.mktemp("versions"))


@pytest.fixture(scope="module")
def site(tmp_path_factory, models):
    """Four processes, which answer with version 1."""
    folder = tmp_path_factory.mktemp("store")
    env = {"WORKERS": "2", "CACHE": "on", "TRUSTED_PROXIES": "127.0.0.1", "JOBS": "on"}
    env["JOBS_FOLDER"] = str(tmp_path_factory.mktemp("jobs"))
    with followed(folder, models, env) as found:
        yield found


@pytest.fixture
def one(site: Followed) -> Followed:
    """The same, as it was at the start."""
    site.store.drop("iris", "challenger")
    site.store.drop("iris", "pinned")
    site.store.set_rollout("iris", Rollout("off", 10))
    site.point("active", "1")
    site.await_answer("1")
    return site


def ask(server: Server, method: str, path: str, body: object = None) -> Answer:
    if body is None:
        return send(server.url, request_bytes(method, path, {}))
    return send(server.url, request_bytes(method, path, JSON, json.dumps(body).encode()))


def count_models(server: Server) -> int:
    return len(json.loads(ask(server, "GET", "/models").body)["models"])


def await_models(site: Followed, count: int) -> None:
    """Until every worker of both has so many: the active one, and the challenger."""
    deadline = time.monotonic() + PATIENCE
    for server in site.servers.values():
        while {count_models(server) for _ in each_worker(server)} != {count}:
            assert time.monotonic() < deadline, server.tail()
            time.sleep(0.05)


def test_a_swap_under_load_fails_nobody_and_every_answer_is_its_versions_own(one):
    own = {version_of(one, version): prediction for version, prediction in ANSWERS.items()}
    swaps = 12
    with Clients([server.url for server in one.servers.values()], each=3) as clients:
        for number in range(swaps):
            one.point("active", str(2 - number % 2))
            time.sleep(0.35)
    assert not clients.failures
    assert len(clients.answers) == 6
    for answers in clients.answers:
        assert answers and all(own[version] == prediction for version, prediction in answers)
        changes = sum(before != after for before, after in pairwise(answers))
        assert 1 <= changes <= swaps  # on one connection, to one process, a version does not come back


def test_all_processes_have_the_other_version_within_two_seconds(one):
    one.point("active", "2")
    time.sleep(WITHIN)
    for server in one.servers.values():
        found = {answer_of(server.url) for _ in each_worker(server)}
        assert found == {(version_of(one, "2"), ANSWERS["2"])}


BAD = {
    "3": "answers otherwise here than where it was exported",
    "4": "features of the active model",
    "5": "not the one that was exported",
}


@pytest.mark.parametrize("version", BAD)
def test_a_bad_candidate_is_refused_and_the_old_one_goes_on(one, version):
    activate = "/models/iris/activate", {"version": version}
    answers = [ask(server, "POST", *activate) for server in one.servers.values()]
    for server, answer in zip(one.servers.values(), answers, strict=True):
        assert answer.status == 409, answer
        check_answer(server, answer)
        assert BAD[version] in json.loads(answer.body)["detail"]
    assert len(set(map(comparable, answers))) == 1

    refused = {name: one.count(name, "model_swaps_total", result="refused") for name in FULL}
    one.point("active", version)  # whoever moved it: no process takes it
    for name in FULL:
        one.await_count(name, refused[name] + 2, "model_swaps_total", result="refused")
    one.await_answer("1")
    for server in one.servers.values():
        listed = json.loads(ask(server, "GET", "/models/iris/versions").body)["versions"]
        told = next(each for each in listed if each["version"] == version)
        assert BAD[version] in told["reason"]
        assert "model not loaded" in server.log.read_text(encoding="utf-8")


def test_a_file_of_the_active_version_that_is_overwritten_does_not_reach_what_serves(tmp_path, models):
    with followed(tmp_path, models, {}) as site:
        site.cut(site.file("1"))
        deadline = time.monotonic() + PATIENCE
        for server in site.servers.values():
            while "model changed in the store" not in server.log.read_text(encoding="utf-8"):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert answer_of(server.url) == (version_of(site, "1"), 0)
            [told] = [v for v in versions(server)["versions"] if v["version"] == "1"]
            assert told["state"] == "active" and "not the one that was exported" in told["reason"]
            for method in ("PUT", "POST", "DELETE"):  # nothing changes a version
                assert ask(server, method, "/models/iris/versions/1", {}).status == 404


def versions(server: Server) -> dict:
    answer = ask(server, "GET", "/models/iris/versions")
    assert answer.status == 200
    return json.loads(answer.body)


def test_a_name_or_a_version_is_no_path(one):
    for server in one.servers.values():
        for name in ("..%2F..%2Fetc", "../../etc", "%2e%2e", "iris%2F..%2F..", "..%5C..", "wine", "iris%00"):
            for method, rest, body in (
                ("GET", "versions", None),
                ("POST", "versions", {}),
                ("POST", "activate", {"version": "1"}),
                ("PUT", "aliases/champion", {"version": "1"}),
                ("DELETE", "aliases/challenger", None),
                ("POST", "rollback", {}),
                ("PUT", "rollout", {"mode": "off"}),
            ):
                answer = ask(server, method, f"/models/{name}/{rest}", body)
                assert answer.status in (400, 404), (method, name, rest, answer)
        for wrong in ("../../etc", "1/..", "-1", "0", "", "1e3", "latest", "1" * 40):
            assert ask(server, "POST", "/models/iris/activate", {"version": wrong}).status == 400


def test_no_address_is_taken_for_a_model(one):
    addresses = ("http://169.254.169.254/", "file:///etc/passwd", "s3://bucket/model", "models:/iris/1")
    for server in one.servers.values():
        for address in addresses:
            for method, path in (
                ("POST", "/models/iris/versions"),
                ("POST", "/models/iris/activate"),
                ("PUT", "/models/iris/aliases/champion"),
            ):
                for body in ({"uri": address}, {"version": "1", "uri": address}, {"version": address}):
                    answer = ask(server, method, path, body)
                    assert answer.status == 400
                    assert address.encode() not in answer.body


def test_what_activates_a_version_pins_it_until_the_alias_is_followed_again(one):
    first, second = one.servers.values()
    answer = ask(first, "POST", "/models/iris/activate", {"version": "2"})
    assert answer.status == 200
    told = json.loads(answer.body)
    assert (told["active"], told["pinned"], told["following"]) == ("2", "2", "champion")
    one.await_answer("2")
    answer = ask(second, "POST", "/models/iris/activate", {"alias": "champion"})
    assert json.loads(answer.body)["active"] == "1" and "pinned" not in json.loads(answer.body)
    one.await_answer("1")
    for body, status in (({"alias": "other"}, 404), ({}, 400), ({"alias": "champion", "version": "1"}, 400)):
        assert ask(first, "POST", "/models/iris/activate", body).status == status


def callers(count: int) -> list[str]:
    return [f"192.0.2.{number}" for number in range(count)]


def test_a_canary_answers_the_same_callers_at_both_servers(one):
    one.point("challenger", "2")
    await_models(one, 2)
    before = {name: one.count(name, "rollout_requests_total", role="challenger") for name in FULL}
    first = next(iter(one.servers.values()))
    answer = ask(first, "PUT", "/models/iris/rollout", {"mode": "canary", "percent": 30})
    assert json.loads(answer.body)["rollout"] == {"mode": "canary", "percent": 30}
    time.sleep(WITHIN)
    digest = one.versions["2"].digest
    chosen = {caller for caller in callers(100) if part(f"address:{caller}", digest) < 30}
    assert 15 < len(chosen) < 45
    for name, server in one.servers.items():
        for caller in callers(100):
            version = "2" if caller in chosen else "1"
            expected = version_of(one, version), ANSWERS[version]
            assert answer_of(server.url, {"X-Forwarded-For": caller}) == expected
        one.await_count(name, before[name] + len(chosen), "rollout_requests_total", role="challenger")


def test_a_challenger_in_the_shadow_is_compared_and_never_answers(one):
    one.point("challenger", "2")
    await_models(one, 2)
    before = {name: one.count(name, "shadow_comparisons_total") for name in FULL}
    differ = {name: one.count(name, "shadow_comparisons_total", result="differ") for name in FULL}
    one.store.set_rollout("iris", Rollout("shadow", 10))
    time.sleep(WITHIN)
    body = {"instances": [SETOSA, [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5]]}
    for name, server in one.servers.items():
        for _ in range(10):
            answer = json.loads(ask(server, "POST", "/predict/batch", body).body)
            assert answer["prediction"] == [0, 2, 1] and answer["model"]["version"] == version_of(one, "1")
        one.await_count(name, before[name] + 30, "shadow_comparisons_total")
        assert one.count(name, "shadow_comparisons_total", result="differ") == differ[name] + 30


def test_v2_with_a_version_asks_just_that_one_and_models_lists_both(one):
    one.point("challenger", "2")
    await_models(one, 2)
    tensor = {"name": "features", "shape": [1, 4], "datatype": "FP64", "data": SETOSA}
    for server in one.servers.values():
        listed = json.loads(ask(server, "GET", "/models").body)["models"]
        roles = [(each["registry_version"], each["role"]) for each in listed]
        assert roles == [("1", "active"), ("2", "challenger")]
        for version, prediction in ANSWERS.items():
            path = f"/v2/models/iris/versions/{version_of(one, version)}"
            answer = json.loads(ask(server, "POST", f"{path}/infer", {"inputs": [tensor]}).body)
            assert answer["model_version"] == version_of(one, version)
            assert answer["outputs"][0]["data"] == [prediction]
            assert ask(server, "GET", f"{path}/ready").status == 200
        assert sorted(json.loads(ask(server, "GET", "/v2/models/iris").body)["versions"]) == sorted(
            version_of(one, version) for version in ANSWERS
        )
        assert ask(server, "GET", "/v2/models/iris/versions/9/ready").status == 404


def test_a_job_is_left_with_the_version_that_is_served(one):
    for version in ("2", "1"):
        one.point("active", version)
        one.await_answer(version)
        for server in one.servers.values():
            answer = ask(server, "POST", "/jobs", {"instances": [SETOSA]})
            assert answer.status == 202, answer
            assert json.loads(answer.body)["model"]["version"] == version_of(one, version)


def test_both_describe_the_same_routes(one):
    documents = []
    for server in one.servers.values():
        document = json.loads(ask(server, "GET", "/openapi.json").body)
        del document["info"]["summary"]
        documents.append(document)
    assert documents[0] == documents[1]
    told = json.dumps(documents[0])
    for slug in ("model-refused", "insufficient-storage", "registry-unavailable"):
        assert f"#/components/examples/{slug}" in told


def test_who_may_ask_and_who_may_change():
    for door in (fastapi_app, flask_app):
        area = __import__(f"{door.__name__}.registry", fromlist=["registry"])
        names = ("versions", "register", "move", "drop", "rollback", "activate", "roll_out")
        scopes = {name: getattr(area, name).access.scope for name in names}
        assert scopes == {name: "predict" if name == "versions" else "admin" for name in names}


def test_a_store_that_is_empty_or_cannot_be_read_is_told_and_looked_at_again(tmp_path, models):
    with followed(tmp_path, models, {}, active=None) as site:
        for server in site.servers.values():
            answer = ask(server, "GET", "/health")
            check_answer(server, answer)
            assert (answer.status, "not in the store yet" in answer.body.decode()) == (503, True)
            assert ask(server, "GET", "/health/live").status == 200
        if os.name == "posix":  # for root too: a link that leads to itself
            pointers = tmp_path / "iris" / "pointers"
            pointers.mkdir(exist_ok=True)
            (pointers / "active").symlink_to("active")
            await_detail(site, "cannot be read")
            for server in site.servers.values():
                refused = ask(server, "POST", "/predict", {"features": SETOSA})
                assert refused.status == 503 and str(tmp_path).encode() not in refused.body
                assert server.log.read_text(encoding="utf-8").count("the store cannot be read") == 1
            (pointers / "active").unlink()
        site.store.point("iris", "active", Pointer("7", "0" * 64))
        await_detail(site, "missing or cannot be read")
        site.point("active", "1")
        site.await_answer("1")


def await_detail(site: Followed, text: str) -> None:
    deadline = time.monotonic() + PATIENCE
    for server in site.servers.values():
        while text not in ask(server, "GET", "/health").body.decode():
            assert time.monotonic() < deadline, server.tail()
            time.sleep(0.05)
        check_answer(server, ask(server, "GET", "/health"))
