"""deploy/kubernetes, as far as it can be looked at without a cluster: kustomize builds every overlay, each of
its fields is known to Kubernetes, and the objects hold together. Every rule is shown a mistake to find."""

import copy
import re
import shutil
import subprocess
from base64 import b64decode
from urllib.parse import urlsplit

import pytest
import yaml
from manifest_mistakes import MISTAKES, container, pod
from manifest_rules import SECRETS, mistakes
from manifests import FOLDER, OVERLAYS, ROOT, fields, find, kustomize, misspelt, rendered, unknown_fields

from apps.service.settings import Settings

pytestmark = pytest.mark.skipif(kustomize() is None, reason="needs kustomize, or kubectl 1.27 or newer")
NAMES_OF_ONES_OWN = {  # fields below which any name may stand
    *("labels", "annotations", "matchLabels", "data", "requests", "limits", "capacity"),
}
KINDS = [
    *("Namespace", "ConfigMap", "Service", "PersistentVolume", "PersistentVolumeClaim", "Deployment"),
    *("StatefulSet", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy"),
    *("Gateway", "HTTPRoute", "InferenceService"),
]


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return request.param


def test_kubernetes_knows_every_field(overlay):
    assert [line for one in rendered(overlay) for line in unknown_fields(one)] == []


def test_the_objects_hold_together(overlay):
    assert mistakes(rendered(overlay)) == []


def test_every_kind_is_among_those_in_which_mistakes_are_seeded():
    assert {one["kind"] for name in OVERLAYS for one in rendered(name)} == {*KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_field_is_found_wherever_it_stands(kind):
    """In the largest object of the kind, every field in turn."""
    every = [one for name in OVERLAYS for one in rendered(name) if one["kind"] == kind]
    one = max(every, key=lambda each: len([*fields(each)]))
    tried = [path for path in fields(one) if path not in (("apiVersion",), ("kind",))]
    tried = [path for path in tried if not NAMES_OF_ONES_OWN & {*path[:-1]}]
    tried = [path for path in tried if kind != "Service" or "selector" not in path[:-1]]
    missed = [path for path in tried if not unknown_fields(misspelt(one, path))]
    assert tried and missed == []


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("Deployment/fastapi", ("spec", "template", "spec", "terminationGracePeriodSeconds"), "45 s"),
        ("Deployment/fastapi", ("spec", "template", "spec", "containers"), {}),
        ("HorizontalPodAutoscaler/fastapi", ("spec", "minReplicas"), "two"),
        ("HTTPRoute/fastapi", ("spec", "hostnames"), ["https://fastapi.example.org"]),
        ("HTTPRoute/fastapi", ("spec", "rules", 0, "backendRefs", 0, "weight"), -1),
        ("Gateway/servelab", ("spec", "listeners", 0, "port"), 80000),
        ("NetworkPolicy/dns", ("spec", "policyTypes"), "Egress"),
    ],
)
def test_a_value_of_another_type_is_found(name, path, value):
    one = find(rendered("canary"), name)
    place = one
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert unknown_fields(one)


@pytest.mark.parametrize(
    ("overlay", "name", "change", "said"),
    MISTAKES,
    ids=[f"{m[1]}: {m[3]}".replace("/", " ") for m in MISTAKES],
)
def test_a_mistake_that_no_schema_finds_is_found(overlay, name, change, said):
    objects = rendered(overlay)
    change(find(objects, name))
    assert any(said in line for line in mistakes(objects)), mistakes(objects)


def test_a_secret_in_a_manifest_is_found():
    objects = rendered("kind")
    secret = copy.deepcopy(find(objects, "Namespace/servelab"))
    secret.update(kind="Secret")
    secret["metadata"]["namespace"] = "servelab"
    assert mistakes([*objects, secret]) == ["Secret/servelab stands in a manifest"]


def test_every_kind_that_is_related_to_others_has_a_seeded_mistake():
    assert {name.partition("/")[0] for _, name, _, _ in MISTAKES} >= {*KINDS} - {"ConfigMap"}


def test_the_canary_is_the_champion_but_for_its_name_and_what_is_on_trial():
    objects = rendered("canary")
    champion, canary = (find(objects, f"Deployment/{name}") for name in ("fastapi", "fastapi-canary"))
    text = yaml.safe_dump(canary["spec"]).replace("fastapi-canary", "fastapi")
    changed = yaml.safe_load(text.replace("ml-api:1.1.0", "ml-api:1.0.0"))
    expected = copy.deepcopy(champion["spec"])
    for spec in (changed, expected):
        spec["template"]["metadata"]["labels"].pop("app.kubernetes.io/part-of", None)
        hosts = next(
            e for e in spec["template"]["spec"]["containers"][0]["env"] if e["name"] == "ALLOWED_HOSTS"
        )
        hosts.pop("value")
    assert changed == expected


def test_both_servers_have_the_same_manifest_but_for_names_ports_and_image():
    texts = [(FOLDER / "base" / n / f"{n}.yaml").read_text(encoding="utf-8") for n in ("fastapi", "flask")]
    swaps = {
        "fastapi": "flask",
        "FastAPI": "Flask",
        "ml-api:latest": "ml-api:flask",
        "8000": "5000",
        "8100": "5100",
    }
    for mine, other in swaps.items():
        texts[0] = texts[0].replace(mine, other)
    assert texts[0] == texts[1]


def test_the_images_are_those_of_the_dockerfile():
    made = {*re.findall(r"docker build .*-t (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))}
    for one in rendered("kind"):
        if one["kind"] == "Deployment":
            for each in [*pod(one).get("initContainers", []), *pod(one)["containers"]]:
                assert each["image"] in made
    for one in rendered("cloud"):
        if one["kind"] == "Deployment":
            assert {each["image"].split(":")[0] for each in pod(one)["containers"]} <= {
                f"registry.example.org/{image.split(':')[0]}" for image in made
            }


def test_a_container_uses_the_ports_of_its_image():
    """What it listens on is in the image, or the server's default."""
    exposed = dict(
        re.findall(
            r"^FROM \S+ AS (\w+)\n(?:(?!FROM ).*\n)*?EXPOSE (\d+)$",
            (ROOT / "Dockerfile").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    for name in ("fastapi", "flask", "worker", "ui"):
        ports = container(find(rendered("kind"), f"Deployment/{name}"))["ports"]
        assert ports[0]["containerPort"] == int(exposed[name])


@pytest.mark.skipif(not all(map(shutil.which, ("kubectl", "bash", "openssl"))), reason="needs kubectl")
def test_the_secret_of_the_book_has_what_is_referred_to():
    """Made as the book says, but for sending it to a cluster; and servers take what is in it."""
    text = (ROOT / "docs" / "how-to" / "kubernetes.md").read_text(encoding="utf-8")
    command = re.search(r"^```bash\n(DATABASE_PASSWORD=.*?)^```$", text, re.DOTALL | re.MULTILINE)[1]
    command = command.replace("kubectl create", "kubectl create --dry-run=client -o yaml")
    done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    made = yaml.safe_load(done.stdout)
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == ("servelab", "servelab")
    values = {name: b64decode(value).decode() for name, value in made["data"].items()}
    assert {*values} == SECRETS and all(len(value) >= 32 for value in values.values())
    assert values["POSTGRES_PASSWORD"] in values["DATABASE_URL"]
    Settings(**{name.lower(): values[name] for name in ("DATABASE_URL", "BROKER_URL", "JWT_SECRET")})
    for url in (urlsplit(values[name]) for name in ("DATABASE_URL", "BROKER_URL")):
        service = find(rendered("kind"), f"Service/{url.hostname}")
        assert url.port in [port["port"] for port in service["spec"]["ports"]]


def test_every_folder_of_kustomize_is_in_an_overlay():
    assert {path.name for path in (FOLDER / "overlays").iterdir()} == {*OVERLAYS}
