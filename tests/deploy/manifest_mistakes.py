"""Mistakes that no schema finds, and what a rule of manifest_rules.py or manifest_network.py says of each."""

from collections.abc import Callable


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
