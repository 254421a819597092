"""What kustomize makes of deploy/kubernetes, and whether Kubernetes knows every field of it."""

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
SCHEMAS = Path(__file__).with_name("schemas")
OVERLAYS = {  # each with those that are applied before it
    "kind": ["kind"],
    "cloud": ["cloud"],
    "canary": ["canary"],
    "kserve": ["kind", "kserve"],
}
POD_SPEC = "io.k8s.api.core.v1.PodSpec"


@cache
def kustomize() -> list[str] | None:
    """The command, or None. The kubectl of Debian 12 has a kustomize of 2019, which knows no `labels`."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        told = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, timeout=60)
        if "Kustomize Version: v5" in told.stdout:
            return ["kubectl", "kustomize"]
    return None


@cache
def _rendered(overlay: str) -> list[dict]:
    objects = []
    for name in OVERLAYS[overlay]:
        command = [*kustomize(), str(FOLDER / "overlays" / name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "deprecated" not in done.stderr, done.stderr
        objects += yaml.safe_load_all(done.stdout)
    return objects


def rendered(overlay: str) -> list[dict]:
    """Every object, fresh for whoever changes one."""
    return copy.deepcopy(_rendered(overlay))


def find(objects: list[dict], name: str) -> dict:
    """The one called `Kind/name`."""
    found = [one for one in objects if f"{one['kind']}/{one['metadata']['name']}" == name]
    assert len(found) == 1, f"{len(found)} objects are called {name}"
    return found[0]


def matches(selector: dict, labels: dict[str, str]) -> bool:
    """As Kubernetes has it: an empty selector matches all."""
    if any(labels.get(name) != value for name, value in selector.get("matchLabels", {}).items()):
        return False
    for rule in selector.get("matchExpressions", []):
        if rule["operator"] != "In" or labels.get(rule["key"]) not in rule["values"]:
            return False
    return True


def of_kind(objects: list[dict], kind: str) -> list[dict]:
    return [one for one in objects if one["kind"] == kind]


def exists(objects: list[dict], name: str) -> bool:
    return any(f"{one['kind']}/{one['metadata']['name']}" == name for one in objects)


@cache
def validators() -> dict[str, Draft202012Validator]:
    """By apiVersion/kind."""
    plain = json.loads((SCHEMAS / "kubernetes.json").read_text(encoding="utf-8"))
    custom = json.loads((SCHEMAS / "custom.json").read_text(encoding="utf-8"))
    predictor = custom["$defs"]["InferenceService"]["properties"]["spec"]["properties"]["predictor"]
    predictor["properties"].pop("POD_SPEC")
    predictor["properties"] |= plain["$defs"][POD_SPEC]["properties"]
    definitions = plain["$defs"] | custom["$defs"]
    return {
        kind: Draft202012Validator(reference | {"$defs": definitions})
        for kind, reference in (plain["kinds"] | custom["kinds"]).items()
    }


def unknown_fields(one: dict) -> list[str]:
    """What the schema of its kind says against an object."""
    kind = f"{one['apiVersion']}/{one['kind']}"
    if kind not in validators():
        return [f"{kind}: there is no schema of this kind: add it to tests/deploy/schemas/make.py"]
    name = f"{one['kind']}/{one.get('metadata', {}).get('name')}"
    return [
        f"{name}: {'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in validators()[kind].iter_errors(one)
    ]


@dataclass(frozen=True)
class Workload:
    """Whatever makes pods."""

    name: str  # Kind/name
    owner: dict
    labels: dict[str, str]  # of its pods
    pod: dict  # their spec
    replicas: int | None  # None: an autoscaler's

    @property
    def containers(self) -> list[dict]:
        return self.pod["containers"]

    @property
    def every_container(self) -> list[dict]:
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    def ports(self) -> dict[str, int]:
        return {
            port["name"]: port["containerPort"] for each in self.containers for port in each.get("ports", [])
        }


def workloads(objects: list[dict]) -> list[Workload]:
    found = []
    for one in objects:
        name = f"{one['kind']}/{one['metadata']['name']}"
        if one["kind"] in ("Deployment", "StatefulSet"):
            template = one["spec"]["template"]
            labels = template["metadata"].get("labels", {})
            found.append(Workload(name, one, labels, template["spec"], one["spec"].get("replicas")))
        elif one["kind"] == "InferenceService":  # KServe gives its labels to the pods
            labels = one["metadata"].get("labels", {})
            found.append(Workload(name, one, labels, one["spec"]["predictor"], None))
    return found


def environment(workload: Workload, container: dict, objects: list[dict]) -> dict[str, str]:
    """The variables whose values the manifests know, those of config maps included."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        name = f"ConfigMap/{source['configMapRef']['name']}"
        found |= find(objects, name)["data"] if exists(objects, name) else {}
    return found | {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}


def fields(value, path: tuple = ()) -> Iterator[tuple]:
    """The path to every field of an object."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        if isinstance(value, dict):
            yield (*path, name)
        yield from fields(inner, (*path, name))


def misspelt(one: dict, path: tuple) -> dict:
    """The object with one letter more in the name of a field."""
    changed = copy.deepcopy(one)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[f"{path[-1]}s"] = place.pop(path[-1])
    return changed
