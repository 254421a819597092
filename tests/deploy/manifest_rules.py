"""What a schema lets through and a cluster does not, or only too late. `mistakes(objects)` is empty for
manifests that hold together."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch

import yaml
from manifest_network import of_network
from manifests import FOLDER, Workload, environment, exists, find, matches, of_kind, workloads

PROBES = {  # paths that mean what Kubernetes asks; test_rolling_update.py asks live servers for each
    "startupProbe": {"/health/live", "/v2/health/live", "/_stcore/health"},
    "livenessProbe": {"/health/live", "/v2/health/live", "/_stcore/health"},
    "readinessProbe": {"/health/ready", "/v2/models/iris/ready", "/_stcore/health"},
}
START_SECONDS = 60  # that a server may take on a busy node
SECRETS = {  # of the book
    "DATABASE_URL",
    "BROKER_URL",
    "JWT_SECRET",
    "POSTGRES_PASSWORD",
    "RABBITMQ_PASSWORD",
}
CONFIDENTIAL = re.compile(r"PASSWORD|PASS$|SECRET|TOKEN|_KEY$|(DATABASE|BROKER|REDIS|RESULTS)_URL$")
CLUSTER_WIDE = ("Namespace", "PersistentVolume")


def of_namespaces(objects: list[dict]) -> Iterator[str]:
    for one in objects:
        if one["kind"] not in CLUSTER_WIDE and one["metadata"].get("namespace") != "servelab":
            yield "is not in the namespace servelab"
    labels = find(objects, "Namespace/servelab")["metadata"].get("labels", {})
    if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "Namespace/servelab does not enforce restricted pods"


def of_images(workload: Workload) -> Iterator[str]:
    for each in workload.every_container:
        _, _, tag = each["image"].rpartition("/")[2].partition(":")
        if not tag:
            yield f"image {each['image']} has no tag"
        if tag == "latest" and each.get("imagePullPolicy") != "IfNotPresent":
            yield f"image {each['image']} would always be pulled"


def of_security(workload: Workload) -> Iterator[str]:
    pod = workload.pod
    context = pod.get("securityContext", {})
    if not context.get("runAsNonRoot") or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if workload.owner["kind"] == "StatefulSet" and context.get("fsGroupChangePolicy") != "OnRootMismatch":
        yield "would open the files of its volume to its group at every start"
    if pod.get("automountServiceAccountToken") is not False:
        yield "has a token for Kubernetes"
    if pod.get("enableServiceLinks") is not False:
        yield "has variables of services, such as WORKER_PORT"
    if (
        pod.get("hostNetwork")
        or pod.get("hostPID")
        or any("hostPath" in one for one in pod.get("volumes", []))
    ):
        yield "reaches into its node"
    for each in workload.every_container:
        context = each.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield f"{each['name']} may gain privileges"
        if context.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{each['name']} keeps capabilities"
        if context.get("readOnlyRootFilesystem") is not True:
            yield f"{each['name']} may write into its image"


def mebibytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * (1024 if unit == "Gi" else 1)


def of_resources(workload: Workload) -> Iterator[str]:
    for each in workload.every_container:
        asked, most = (each.get("resources", {}).get(part, {}) for part in ("requests", "limits"))
        if not {"cpu", "memory"} <= set(asked) or "memory" not in most:
            yield f"{each['name']} has no requests of CPU and memory, or no limit of memory"
        elif mebibytes(asked["memory"]) > mebibytes(most["memory"]):
            yield f"{each['name']} asks for more memory than it may have"


def of_probes(workload: Workload) -> Iterator[str]:
    for each in workload.containers:
        ports = {port["name"] for port in each.get("ports", [])}
        for kind, paths in PROBES.items():
            probe = each.get(kind)
            if probe is None:
                if kind != "livenessProbe" or "tcpSocket" not in each.get("readinessProbe", {}):
                    yield f"{each['name']} has no {kind}"
                continue
            asked = probe.get("httpGet") or probe["tcpSocket"]
            if asked.get("path") not in (paths if "httpGet" in probe else {None}):
                yield f"{kind} asks {asked['path']}, which says something else"
            if asked["port"] not in ports:
                yield f"{kind} asks port {asked['port']}, which {each['name']} has not"
        start = each.get("startupProbe", {})
        if start.get("periodSeconds", 10) * start.get("failureThreshold", 3) < START_SECONDS:
            yield f"{each['name']} has less than {START_SECONDS} seconds to start"


def of_the_end(workload: Workload, objects: list[dict]) -> Iterator[str]:
    patience = workload.pod.get("terminationGracePeriodSeconds", 30)
    for each in workload.containers:
        env = environment(workload, each, objects)
        sleep = each.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        drain, grace = float(env.get("DRAIN_SECONDS", 0)), float(env.get("GRACE_SECONDS", 10))
        if sleep + drain + grace >= patience:
            yield f"{each['name']} is killed before it has ended: {sleep} + {drain:g} + {grace:g} seconds"
        ready = each.get("readinessProbe", {})
        noticed = ready.get("periodSeconds", 10) * ready.get("failureThreshold", 3)
        if "httpGet" in ready and workload.labels.get("app.kubernetes.io/component") in ("server", "ui"):
            if sleep + drain < 5:
                yield f"{each['name']} ends while requests are still sent to it: no drain, no preStop"
            if not sleep and drain < noticed:
                yield f"{each['name']} has ended before its readiness says so"


def of_references(workload: Workload, objects: list[dict]) -> Iterator[str]:
    claimed = workload.owner["spec"].get("volumeClaimTemplates", [])
    volumes = {one["name"]: one for one in workload.pod.get("volumes", [])}
    for volume in volumes.values():
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and not exists(objects, f"PersistentVolumeClaim/{claim}"):
            yield f"there is no claim {claim}"
    for each in workload.every_container:
        for mount in each.get("volumeMounts", []):
            if mount["name"] not in {*volumes, *(one["metadata"]["name"] for one in claimed)}:
                yield f"{each['name']} mounts {mount['name']}, which is no volume of it"
        for source in each.get("envFrom", []):
            if not exists(objects, f"ConfigMap/{source['configMapRef']['name']}"):
                yield f"there is no ConfigMap {source['configMapRef']['name']}"
        known = set()
        for variable in each.get("env", []):
            for name in set(re.findall(r"\$\((\w+)\)", variable.get("value", ""))) - known:
                yield f"{variable['name']} uses $({name}), which does not stand before it"
            known.add(variable["name"])
            key = variable.get("valueFrom", {}).get("secretKeyRef")
            if key and (key["name"] != "servelab" or key["key"] not in SECRETS):
                yield f"{variable['name']} is in no secret that the book makes"
            if "value" in variable and CONFIDENTIAL.search(variable["name"]):
                yield f"{variable['name']} is a secret, and stands in a manifest"


def of_hosts(workload: Workload, objects: list[dict]) -> Iterator[str]:
    """Whoever refuses names that it does not know: the kubelet calls a pod by its address, others by its
    Service."""
    for each in workload.containers:
        env = environment(workload, each, objects)
        allowed = env.get("ALLOWED_HOSTS", "").split(",")
        if "MODEL_PATH" not in env:
            continue
        if "$(POD_IP)" not in allowed:
            yield f"{each['name']} refuses the kubelet's probes: ALLOWED_HOSTS has no $(POD_IP)"
        for service in of_kind(objects, "Service"):
            if matches({"matchLabels": service["spec"]["selector"]}, workload.labels):
                wanted = {service["metadata"]["name"]} | {
                    host
                    for route in routes_to(objects, service["metadata"]["name"])
                    for host in route["spec"].get("hostnames", [])
                }
                for host in sorted(wanted - {*allowed}):
                    yield f"{each['name']} refuses {host}: it is not in ALLOWED_HOSTS"


def of_rollouts(workload: Workload, objects: list[dict]) -> Iterator[str]:
    spec = workload.owner["spec"]
    if workload.owner["kind"] == "InferenceService":
        return
    if not matches(spec["selector"], workload.labels):
        yield "its selector matches none of its pods"
    if workload.owner["kind"] == "StatefulSet":
        if not exists(objects, f"Service/{spec['serviceName']}"):
            yield f"there is no Service {spec['serviceName']}"
        return
    update = spec.get("strategy", {}).get("rollingUpdate", {})
    if update.get("maxUnavailable") != 0 or not update.get("maxSurge"):
        yield "takes pods away before new ones are ready: maxUnavailable 0 and maxSurge are wanted"
    name = workload.owner["metadata"]["name"]
    scaled = [s for s in of_kind(objects, "HorizontalPodAutoscaler") if target_of(s) == workload.name]
    if scaled and workload.replicas is not None:
        yield "has replicas, which every apply would set again against its autoscaler"
    if scaled:
        spreads = workload.pod.get("topologySpreadConstraints", [])
        if not spreads or not all(matches(spread["labelSelector"], workload.labels) for spread in spreads):
            yield "does not spread its own pods over nodes"
        budgets = of_kind(objects, "PodDisruptionBudget")
        if not any(matches(budget["spec"]["selector"], workload.labels) for budget in budgets):
            yield f"no PodDisruptionBudget is about {name}"


def target_of(scaler: dict) -> str:
    return f"{scaler['spec']['scaleTargetRef']['kind']}/{scaler['spec']['scaleTargetRef']['name']}"


def of_services(objects: list[dict]) -> Iterator[str]:
    for one in of_kind(objects, "Service"):
        name, selector = one["metadata"]["name"], {"matchLabels": one["spec"]["selector"]}
        chosen = [each for each in workloads(objects) if matches(selector, each.labels)]
        if len(chosen) != 1:
            yield f"Service/{name} sends to the pods of {len(chosen)} workloads"
        for port in one["spec"]["ports"]:
            for each in chosen:
                if port["targetPort"] not in each.ports():
                    yield f"Service/{name} sends to port {port['targetPort']}, which {each.name} has not"
                elif port["port"] != each.ports()[port["targetPort"]]:
                    yield f"Service/{name} has another number for {port['targetPort']} than {each.name}"


def of_budgets(objects: list[dict]) -> Iterator[str]:
    for one in of_kind(objects, "PodDisruptionBudget"):
        name, spec = f"PodDisruptionBudget/{one['metadata']['name']}", one["spec"]
        chosen = [each for each in workloads(objects) if matches(spec["selector"], each.labels)]
        if len(chosen) != 1:
            yield f"{name} is about the pods of {len(chosen)} workloads"
            continue
        least = {target_of(s): s["spec"]["minReplicas"] for s in of_kind(objects, "HorizontalPodAutoscaler")}
        replicas = least.get(chosen[0].name, chosen[0].replicas or 1)
        if spec.get("maxUnavailable") in (0, "0%") or spec.get("minAvailable", 0) in (*("100%", replicas),):
            yield f"{name} lets nobody empty a node"


def of_scalers(objects: list[dict]) -> Iterator[str]:
    told = yaml.safe_load((FOLDER / "prometheus" / "adapter.yaml").read_text(encoding="utf-8"))
    known = {rule["seriesQuery"].partition("{")[0] for rule in told["rules"]["custom"]}
    for one in of_kind(objects, "HorizontalPodAutoscaler"):
        name, spec = f"HorizontalPodAutoscaler/{one['metadata']['name']}", one["spec"]
        if target_of(one) not in {each.name for each in workloads(objects)}:
            yield f"{name} scales {target_of(one)}, which is not there"
        if spec["minReplicas"] >= spec["maxReplicas"]:
            yield f"{name} cannot scale: from {spec['minReplicas']} to {spec['maxReplicas']}"
        for metric in spec["metrics"]:
            if metric["type"] == "Pods" and metric["pods"]["metric"]["name"] not in known:
                yield f"{name}: no rule of the adapter tells {metric['pods']['metric']['name']}"


def routes_to(objects: list[dict], service: str) -> list[dict]:
    return [
        route
        for route in of_kind(objects, "HTTPRoute")
        for rule in route["spec"]["rules"]
        if service in {backend["name"] for backend in rule.get("backendRefs", [])}
    ]


def of_routes(objects: list[dict]) -> Iterator[str]:
    for one in of_kind(objects, "HTTPRoute"):
        name, spec = f"HTTPRoute/{one['metadata']['name']}", one["spec"]
        for parent in spec["parentRefs"]:
            found = [
                each for each in of_kind(objects, "Gateway") if each["metadata"]["name"] == parent["name"]
            ]
            listeners = [each for gateway in found for each in gateway["spec"]["listeners"]]
            listeners = [
                each for each in listeners if each["name"] == parent.get("sectionName", each["name"])
            ]
            if not listeners:
                yield f"{name} has no gateway {parent['name']} with {parent.get('sectionName')}"
            for host in spec.get("hostnames", []):
                if not any(fnmatch(host, each.get("hostname", "*")) for each in listeners):
                    yield f"{name} is for {host}, which no listener takes"
        for rule in spec["rules"]:
            backends = rule.get("backendRefs", [])
            if backends and sum(backend.get("weight", 1) for backend in backends) != (
                100 if len(backends) > 1 else backends[0].get("weight", 1)
            ):
                yield f"{name} has weights that are no percents"
            for backend in backends:
                services = [
                    each
                    for each in of_kind(objects, "Service")
                    if each["metadata"]["name"] == backend["name"]
                ]
                if not any(
                    backend["port"] == port["port"] for each in services for port in each["spec"]["ports"]
                ):
                    yield f"{name} sends to {backend['name']}:{backend['port']}, which is no Service's"


def of_volumes(objects: list[dict]) -> Iterator[str]:
    for one in of_kind(objects, "PersistentVolume"):
        name, claim = f"PersistentVolume/{one['metadata']['name']}", one["spec"]["claimRef"]
        if not exists(objects, f"PersistentVolumeClaim/{claim['name']}"):
            yield f"{name} is for a claim {claim['name']}, which is not there"
            continue
        asked = find(objects, f"PersistentVolumeClaim/{claim['name']}")["spec"]
        if asked.get("volumeName") != one["metadata"]["name"]:
            yield f"{name} is not the volume that its claim names"
        if not {*asked["accessModes"]} <= {*one["spec"]["accessModes"]}:
            yield f"{name} cannot be used as its claim asks"


def mistakes(objects: list[dict]) -> list[str]:
    """One line each."""
    found = [*of_namespaces(objects), *of_services(objects), *of_budgets(objects), *of_scalers(objects)]
    found += [*of_routes(objects), *of_volumes(objects), *of_network(objects)]
    for workload in workloads(objects):
        for rule in (of_images, of_security, of_resources, of_probes):
            found += [f"{workload.name} {line}" for line in rule(workload)]
        for rule in (of_the_end, of_references, of_hosts, of_rollouts):
            found += [f"{workload.name} {line}" for line in rule(workload, objects)]
    return found + [
        f"Secret/{one['metadata']['name']} stands in a manifest" for one in of_kind(objects, "Secret")
    ]
