"""deploy/kubernetes, as far as it can be looked at without a cluster: kustomize builds every overlay, each of
its fields is known to Kubernetes, and the objects hold together. Every rule is shown a mistake to find."""

import copy
import re
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import yaml
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


def pod(one: dict) -> dict:
    return one["spec"]["template"]["spec"]


def container(one: dict) -> dict:
    return pod(one)["containers"][0]


def without(place: dict, name: str) -> None:
    del place[name]


def env(one: dict, name: str) -> dict:
    return next(each for each in container(one)["env"] if each["name"] == name)


Change = Callable[[dict], object]
MISTAKES: list[tuple[str, str, Change, str]] = [  # overlay, object, what is done to it, what is said
    ("kind", "Namespace/servelab", lambda o: without(o["metadata"], "labels"), "does not enforce restricted"),
    ("kind", "Service/fastapi", lambda o: o["metadata"].update(namespace="default"), "not in the namespace"),
    # Pods that nobody finds, or that the wrong ones find
    (
        "kind",
        "Deployment/fastapi",
        lambda o: o["spec"]["selector"]["matchLabels"].update(tier="api"),
        "matches none",
    ),
    ("kind", "Service/fastapi", lambda o: o["spec"]["selector"].update(tier="api"), "pods of 0 workloads"),
    (
        "kind",
        "Service/fastapi",
        lambda o: o["spec"].update(selector={"app.kubernetes.io/component": "server"}),
        "pods of 2 workloads",
    ),
    ("kind", "Service/flask", lambda o: o["spec"]["ports"][0].update(targetPort="web"), "port web, which"),
    (
        "kind",
        "Service/flask",
        lambda o: o["spec"]["ports"][0].update(port=8000),
        "has another number for http",
    ),
    ("kind", "StatefulSet/rabbitmq", lambda o: o["spec"].update(serviceName="rabbit"), "no Service rabbit"),
    # Probes
    (
        "kind",
        "Deployment/fastapi",
        lambda o: without(container(o), "readinessProbe"),
        "has no readinessProbe",
    ),
    ("kind", "Deployment/worker", lambda o: without(container(o), "startupProbe"), "has no startupProbe"),
    (
        "kind",
        "Deployment/fastapi",
        lambda o: container(o)["readinessProbe"]["httpGet"].update(path="/health/live"),
        "readinessProbe asks /health/live",
    ),
    (
        "kind",
        "Deployment/flask",
        lambda o: container(o)["livenessProbe"]["httpGet"].update(path="/health/ready"),
        "livenessProbe asks /health/ready",
    ),
    (
        "kind",
        "Deployment/worker",
        lambda o: container(o)["livenessProbe"]["httpGet"].update(port="http"),
        "livenessProbe asks port http",
    ),
    (
        "kind",
        "Deployment/ui",
        lambda o: container(o)["startupProbe"].update(failureThreshold=3),
        "seconds to start",
    ),
    (
        "kserve",
        "InferenceService/iris",
        lambda o: o["spec"]["predictor"]["containers"][0]["readinessProbe"]["httpGet"].update(
            path="/v1/ready"
        ),
        "readinessProbe asks /v1/ready",
    ),
    # The end of a pod
    (
        "kind",
        "Deployment/fastapi",
        lambda o: pod(o).update(terminationGracePeriodSeconds=30),
        "killed before",
    ),
    (
        "kind",
        "Deployment/ui",
        lambda o: container(o)["lifecycle"]["preStop"]["sleep"].update(seconds=60),
        "killed before it has ended: 60",
    ),
    ("kind", "Deployment/ui", lambda o: without(container(o), "lifecycle"), "no drain, no preStop"),
    (
        "kind",
        "Deployment/flask",
        lambda o: container(o)["readinessProbe"].update(failureThreshold=6),
        "before its readiness says so",
    ),
    (
        "kind",
        "Deployment/fastapi",
        lambda o: o["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1),
        "takes pods away",
    ),
    ("kind", "Deployment/fastapi", lambda o: o["spec"].update(replicas=2), "against its autoscaler"),
    ("kind", "Deployment/flask", lambda o: without(pod(o), "topologySpreadConstraints"), "does not spread"),
    (
        "canary",
        "Deployment/fastapi-canary",
        lambda o: pod(o)["topologySpreadConstraints"][0].update(
            labelSelector={"matchLabels": {"app.kubernetes.io/name": "fastapi"}}
        ),
        "does not spread its own pods",
    ),
    # Images, resources, rights
    (
        "cloud",
        "Deployment/fastapi",
        lambda o: container(o).update(image="registry.example.org:5000/ml-api"),
        "no tag",
    ),
    ("kind", "Deployment/fastapi", lambda o: without(container(o), "imagePullPolicy"), "always be pulled"),
    ("kind", "Deployment/worker", lambda o: without(container(o), "resources"), "no requests"),
    (
        "kind",
        "Deployment/ui",
        lambda o: container(o)["resources"]["requests"].update(memory="2Gi"),
        "more memory",
    ),
    ("kind", "Deployment/fastapi", lambda o: without(pod(o), "securityContext"), "may run as root"),
    (
        "kind",
        "StatefulSet/postgresql",
        lambda o: without(pod(o)["securityContext"], "seccompProfile"),
        "seccomp",
    ),
    (
        "kind",
        "StatefulSet/rabbitmq",
        lambda o: without(pod(o)["securityContext"], "fsGroupChangePolicy"),
        "open the files of its volume",
    ),
    (
        "kind",
        "StatefulSet/rabbitmq",
        lambda o: container(o)["readinessProbe"]["tcpSocket"].update(port="http"),
        "readinessProbe asks port http",
    ),
    ("kind", "Deployment/flask", lambda o: without(container(o), "securityContext"), "may gain privileges"),
    (
        "kind",
        "Deployment/flask",
        lambda o: pod(o)["initContainers"][0]["securityContext"].update(capabilities={}),
        "model keeps capabilities",
    ),
    (
        "kserve",
        "InferenceService/iris",
        lambda o: o["spec"]["predictor"]["containers"][0]["securityContext"].update(
            readOnlyRootFilesystem=False
        ),
        "may write into its image",
    ),
    (
        "kind",
        "Deployment/ui",
        lambda o: without(pod(o), "automountServiceAccountToken"),
        "a token for Kubernetes",
    ),
    ("kind", "Deployment/worker", lambda o: without(pod(o), "enableServiceLinks"), "variables of services"),
    (
        "kind",
        "Deployment/fastapi",
        lambda o: pod(o)["volumes"].append({"name": "node", "hostPath": {"path": "/models"}}),
        "reaches into its node",
    ),
    # What is referred to
    ("kind", "PersistentVolumeClaim/models", lambda o: o["metadata"].update(name="model"), "no claim models"),
    (
        "kind",
        "PersistentVolume/servelab-models",
        lambda o: o["metadata"].update(name="other"),
        "that its claim names",
    ),
    (
        "kind",
        "PersistentVolume/servelab-models",
        lambda o: o["spec"].update(accessModes=["ReadWriteOnce"]),
        "cannot be used as its claim asks",
    ),
    (
        "kind",
        "Deployment/fastapi",
        lambda o: container(o)["volumeMounts"][0].update(name="models2"),
        "no volume of it",
    ),
    (
        "kind",
        "Deployment/fastapi",
        lambda o: container(o)["envFrom"][0]["configMapRef"].update(name="setting"),
        "no ConfigMap setting",
    ),
    ("cloud", "Deployment/fastapi", lambda o: container(o)["env"].reverse(), "does not stand before it"),
    (
        "kind",
        "Deployment/worker",
        lambda o: env(o, "BROKER_URL")["valueFrom"]["secretKeyRef"].update(key="BROKER"),
        "no secret that the book makes",
    ),
    (
        "kind",
        "Deployment/worker",
        lambda o: container(o)["env"].append({"name": "DATABASE_URL", "value": "postgresql://a:b@c/d"}),
        "is a secret, and stands in a manifest",
    ),
    (
        "kind",
        "Deployment/fastapi",
        lambda o: env(o, "ALLOWED_HOSTS").update(value="fastapi"),
        "refuses the kubelet",
    ),
    (
        "cloud",
        "HTTPRoute/flask",
        lambda o: o["spec"].update(hostnames=["api.example.org"]),
        "refuses api.example.org",
    ),
    # Autoscalers and budgets
    (
        "kind",
        "HorizontalPodAutoscaler/fastapi",
        lambda o: o["spec"]["scaleTargetRef"].update(name="fast-api"),
        "fast-api, which is not there",
    ),
    ("kind", "HorizontalPodAutoscaler/flask", lambda o: o["spec"].update(maxReplicas=2), "cannot scale"),
    (
        "kind",
        "HorizontalPodAutoscaler/flask",
        lambda o: o["spec"]["metrics"][1]["pods"]["metric"].update(name="requests_in_flight"),
        "no rule of the adapter",
    ),
    (
        "kind",
        "PodDisruptionBudget/fastapi",
        lambda o: o["spec"].update(maxUnavailable=0),
        "nobody empty a node",
    ),
    (
        "kind",
        "PodDisruptionBudget/fastapi",
        lambda o: (without(o["spec"], "maxUnavailable"), o["spec"].update(minAvailable=2)),
        "nobody empty a node",
    ),
    (
        "kind",
        "PodDisruptionBudget/flask",
        lambda o: o["spec"].update(selector={"matchLabels": {"app": "flask"}}),
        "about the pods of 0 workloads",
    ),
    # The network
    (
        "kind",
        "NetworkPolicy/default-deny",
        lambda o: o["spec"].update(policyTypes=["Egress"]),
        "denies Ingress",
    ),
    ("kind", "NetworkPolicy/dns", lambda o: o["spec"]["egress"][0]["ports"].pop(0), "may not ask for a name"),
    (
        "kind",
        "NetworkPolicy/dns",
        lambda o: o["spec"].update(podSelector={"matchLabels": {"a": "b"}}),
        "about no pod",
    ),
    (
        "kind",
        "NetworkPolicy/server-from-ui",
        lambda o: o["spec"]["ingress"][0]["ports"][0].update(port="web"),
        "opens port web",
    ),
    ("kind", "NetworkPolicy/server-from-ui", lambda o: o["spec"].update(ingress=[]), "no policy lets it in"),
    (
        "kind",
        "NetworkPolicy/ui-to-server",
        lambda o: o["spec"]["egress"][0]["to"][0]["podSelector"].update(matchLabels={"a": "b"}),
        "no policy lets it out",
    ),
    (
        "kind",
        "NetworkPolicy/to-data",
        lambda o: o["spec"]["egress"][0]["ports"].pop(),
        "may not reach rabbitmq:5672",
    ),
    (
        "kind",
        "NetworkPolicy/metrics-from-prometheus",
        lambda o: o["spec"]["podSelector"]["matchExpressions"][0].update(values=["server"]),
        "Deployment/worker: nobody may reach port metrics",
    ),
    (
        "cloud",
        "NetworkPolicy/from-gateway",
        lambda o: o["spec"].update(ingress=[]),
        "Deployment/ui: nobody may reach",
    ),
    (
        "kind",
        "Deployment/ui",
        lambda o: env(o, "FLASK_URL").update(value="http://flask:8000"),
        "is no port of it",
    ),
    ("kind", "Deployment/ui", lambda o: env(o, "FLASK_URL").update(value="http://api:5000"), "is no Service"),
    # The way in
    (
        "cloud",
        "HTTPRoute/ui",
        lambda o: o["spec"]["parentRefs"][0].update(sectionName="tls"),
        "has no gateway",
    ),
    ("cloud", "HTTPRoute/ui", lambda o: o["spec"].update(hostnames=["servelab.org"]), "no listener takes"),
    (
        "cloud",
        "Gateway/servelab",
        lambda o: o["spec"]["listeners"][1].update(hostname="*.example.com"),
        "which no listener takes",
    ),
    (
        "canary",
        "HTTPRoute/fastapi",
        lambda o: o["spec"]["rules"][0]["backendRefs"][1].update(name="fastapi-next"),
        "fastapi-next:8000, which is no Service's",
    ),
    (
        "canary",
        "HTTPRoute/fastapi",
        lambda o: o["spec"]["rules"][0]["backendRefs"][1].update(weight=100),
        "no percents",
    ),
]


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
