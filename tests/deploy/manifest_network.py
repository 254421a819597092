"""Who reaches whom through the network policies of manifests, as Kubernetes decides it: where some are about
a pod, only what one of them allows. https://kubernetes.io/docs/concepts/services-networking/network-policies/"""

import re
from collections.abc import Iterator

from manifests import Workload, environment, find, matches, of_kind, workloads

SERVERS = re.compile(r"^https?://([a-z0-9-]+):(\d+)").match  # of this namespace, as settings name them


def policies(objects: list[dict], workload: Workload, direction: str) -> list[dict]:
    """The specs of those that are about its pods."""
    return [
        one["spec"]
        for one in of_kind(objects, "NetworkPolicy")
        if direction in one["spec"]["policyTypes"] and matches(one["spec"]["podSelector"], workload.labels)
    ]


def lets(rule: dict, peers: str, other: dict[str, str] | None, target: Workload, port: int) -> bool:
    """Whether a rule is about this port of `target`, and about pods with the labels of `other`; None: it may
    be anybody."""
    ports = [target.ports().get(each["port"], each["port"]) for each in rule.get("ports", [{"port": port}])]
    if port not in ports:
        return False
    if other is None or peers not in rule:
        return True
    return any(
        "namespaceSelector" not in peer and "ipBlock" not in peer and matches(peer["podSelector"], other)
        for peer in rule[peers]
    )


def may_enter(objects: list[dict], source: Workload | None, target: Workload, port: int) -> bool:
    rules = [rule for spec in policies(objects, target, "Ingress") for rule in spec.get("ingress", [])]
    return any(lets(rule, "from", source and source.labels, target, port) for rule in rules)


def may_leave(objects: list[dict], source: Workload, target: Workload, port: int) -> bool:
    rules = [rule for spec in policies(objects, source, "Egress") for rule in spec.get("egress", [])]
    return any(lets(rule, "to", target.labels, target, port) for rule in rules)


def asks_dns(objects: list[dict], workload: Workload) -> bool:
    rules = [rule for spec in policies(objects, workload, "Egress") for rule in spec.get("egress", [])]
    asked = [
        {(each["port"], each.get("protocol", "TCP")) for each in rule.get("ports", [])} for rule in rules
    ]
    return any({(53, "UDP"), (53, "TCP")} <= ports for ports in asked)


def of_network(objects: list[dict]) -> Iterator[str]:
    denied = [one["spec"] for one in of_kind(objects, "NetworkPolicy") if not one["spec"]["podSelector"]]
    for direction in ("Ingress", "Egress"):
        if not any(direction in spec["policyTypes"] and direction.lower() not in spec for spec in denied):
            yield f"nothing denies {direction} by default"
    every = workloads(objects)
    for one in of_kind(objects, "NetworkPolicy"):
        name, spec = f"NetworkPolicy/{one['metadata']['name']}", one["spec"]
        about = [each for each in every if matches(spec["podSelector"], each.labels)]
        if not about:
            yield f"{name} is about no pod"
        for rule in spec.get("ingress", []):
            for port in rule.get("ports", []):
                if not any(port["port"] in {*each.ports(), *each.ports().values()} for each in about):
                    yield f"{name} opens port {port['port']}, which no pod has"
    for each in every:
        if not asks_dns(objects, each):
            yield f"{each.name} may not ask for a name"
        if each.name == "Deployment/ui" and not of_kind(objects, "Gateway"):
            continue  # `kubectl port-forward` comes from the node, as probes do
        for name, port in each.ports().items():
            if not may_enter(objects, None, each, port):
                yield f"{each.name}: nobody may reach port {name}"
    for source in every:
        for container in source.containers:
            for variable, value in environment(source, container, objects).items():
                if not (found := SERVERS(value)) or variable.endswith("PUBLIC_URL"):
                    continue
                yield from edge(objects, source, variable, found[1], int(found[2]))
        if any(v["name"] == "DATABASE_URL" for c in source.containers for v in c.get("env", [])):
            for name, port in (("postgresql", 5432), ("rabbitmq", 5672)):
                if any(one["metadata"]["name"] == name for one in of_kind(objects, "Service")):
                    yield from edge(objects, source, "the secret", name, port)


def edge(objects: list[dict], source: Workload, variable: str, service: str, port: int) -> Iterator[str]:
    """What keeps a pod from a Service that its settings name."""
    if not any(one["metadata"]["name"] == service for one in of_kind(objects, "Service")):
        yield f"{source.name} asks {service} ({variable}), which is no Service"
        return
    spec = find(objects, f"Service/{service}")["spec"]
    if port not in {each["port"] for each in spec["ports"]}:
        yield f"{source.name} asks {service}:{port} ({variable}), which is no port of it"
        return
    for target in workloads(objects):
        if matches({"matchLabels": spec["selector"]}, target.labels):
            if not may_leave(objects, source, target, port):
                yield f"{source.name} may not reach {service}:{port} ({variable}): no policy lets it out"
            if not may_enter(objects, source, target, port):
                yield f"{source.name} may not reach {service}:{port} ({variable}): no policy lets it in"
