"""Solutions of lesson 12, by exercise."""
# ruff: noqa (the names are the notebook's)

# %% 12.1
# What changes seldom comes first: everything below a line that has changed is done again.
dockerfile = [
    "FROM python:3.12-slim",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "COPY model_training ./model_training",
    "RUN python -m model_training.train",
    "COPY apps ./apps",
    "USER 1000",  # from here on nobody needs root's rights
    "CMD python -m apps.fastapi_app",
]


# %% 12.2
LOOPBACK = ("127.", "[::1]:")


def local(port):
    if isinstance(port, dict):  # the long form
        return port.get("host_ip") in ("127.0.0.1", "::1")
    return str(port).startswith(LOOPBACK)  # a port alone may be a number


def exposed(compose):
    return [
        name
        for name, service in compose["services"].items()
        # With the machine's own network there is nothing left to publish.
        if service.get("network_mode") == "host" or not all(local(port) for port in service.get("ports", []))
    ]


# %% 12.3
probes = {
    # 12 times 10 seconds: more than the 90 that it may need, less than the 300 after which it is hopeless.
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 12},
    # Alive has nothing to do with the model: another start would not bring it back.
    "liveness": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}


# %% 12.4
def desired_replicas(replicas, current, target, lowest, highest):
    # Whoever knows nothing of the load changes nothing; nor does a tenth more or less.
    if current is not None and abs(current / target - 1) > 0.1:
        replicas = math.ceil(replicas * current / target)
    return min(max(replicas, lowest), highest)  # at the end, so that the limits hold in any case
