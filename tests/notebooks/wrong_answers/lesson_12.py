"""Known wrong answers of lesson 12: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)

# %% 12.1 | for one letter in apps, the packages are installed again
dockerfile = [
    "FROM python:3.12-slim",
    "COPY requirements.txt model_training apps ./",
    "RUN pip install -r requirements.txt",
    "RUN python -m model_training.train",
    "USER 1000",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | for one letter in apps, the model is trained again
dockerfile = [
    "FROM python:3.12-slim",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "COPY model_training apps ./",
    "RUN python -m model_training.train",
    "USER 1000",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | for one letter in model_training, the packages are installed again
dockerfile = [
    "FROM python:3.12-slim",
    "COPY requirements.txt model_training ./",
    "RUN pip install -r requirements.txt",
    "RUN python -m model_training.train",
    "COPY apps ./apps",
    "USER 1000",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | whoever gets the image gets the secret
dockerfile = [
    "FROM python:3.12-slim",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "COPY model_training ./model_training",
    "RUN python -m model_training.train",
    "COPY . ./",
    "USER 1000",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | needs requirements.txt, which no line above it has copied
dockerfile = [
    "FROM python:3.12-slim",
    "RUN pip install -r requirements.txt",
    "COPY requirements.txt ./",
    "COPY model_training ./model_training",
    "RUN python -m model_training.train",
    "COPY apps ./apps",
    "USER 1000",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | comes before the packages are installed
dockerfile = [
    "FROM python:3.12-slim",
    "COPY model_training ./model_training",
    "RUN python -m model_training.train",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "COPY apps ./apps",
    "USER 1000",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | needs apps, which no line above it has copied
dockerfile = [
    "FROM python:3.12-slim",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "COPY model_training ./model_training",
    "RUN python -m model_training.train",
    "USER 1000",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | no line has `RUN … model_training.train`
dockerfile = [
    "FROM python:3.12-slim",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "COPY apps ./apps",
    "USER 1000",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | the command runs as root
dockerfile = [
    "FROM python:3.12-slim",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "COPY model_training ./model_training",
    "RUN python -m model_training.train",
    "COPY apps ./apps",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | is done by the user 1000, who may not write there
dockerfile = [
    "FROM python:3.12-slim",
    "USER 1000",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "COPY model_training ./model_training",
    "RUN python -m model_training.train",
    "COPY apps ./apps",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | expected what the project has
dockerfile = [
    "FROM python:3.12-slim",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "COPY training ./training",
    "RUN python -m model_training.train",
    "COPY apps ./apps",
    "USER 1000",
    "CMD python -m apps.fastapi_app",
]

# %% 12.1 | expected a list of texts
dockerfile = """
FROM python:3.12-slim
COPY requirements.txt ./
CMD python -m apps.fastapi_app
"""

# %% 12.1 | What does the container do
dockerfile = [
    "FROM python:3.12-slim",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "COPY model_training ./model_training",
    "RUN python -m model_training.train",
    "USER 1000",
    "CMD python -m apps.fastapi_app",
    "COPY apps ./apps",
]


# %% 12.2 | Who can come to 127.0.0.1
def exposed(compose):
    return [name for name, service in compose["services"].items() if "ports" in service]


# %% 12.2 | Does `expose` publish anything
def exposed(compose):
    found = []
    for name, service in compose["services"].items():
        ports = service.get("ports", []) + service.get("expose", [])
        if any(not str(port).startswith("127.") for port in ports):
            found.append(name)
    return found


# %% 12.2 | At which addresses does a port without an address listen
def exposed(compose):
    found = []
    for name, service in compose["services"].items():
        if any("0.0.0.0" in str(port) for port in service.get("ports", [])):
            found.append(name)
    return found


# %% 12.2 | Which addresses are meant by 0.0.0.0
def exposed(compose):
    found = []
    for name, service in compose["services"].items():
        if any(str(port).count(":") == 1 for port in service.get("ports", [])):
            found.append(name)
    return found


# %% 12.2 | Whose address is it
def exposed(compose):
    found = []
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            if str(port).count(":") == 1 or str(port).startswith("0.0.0.0"):
                found.append(name)
    return found


# %% 12.2 | 'int' object has no attribute 'startswith'
def exposed(compose):
    found = []
    for name, service in compose["services"].items():
        if any(not port.startswith("127.") for port in service.get("ports", [])):
            found.append(name)
    return found


# %% 12.2 | Which machine is ::1
def exposed(compose):
    found = []
    for name, service in compose["services"].items():
        if any(not str(port).startswith("127.") for port in service.get("ports", [])):
            found.append(name)
    return found


# %% 12.2 | Did you look at all its ports
def exposed(compose):
    found = []
    for name, service in compose["services"].items():
        ports = service.get("ports", [])
        if ports and not str(ports[0]).startswith(("127.", "[::1]")):
            found.append(name)
    return found


# %% 12.2 | Who is `host_ip`
def exposed(compose):
    found = []
    for name, service in compose["services"].items():
        ports = service.get("ports", [])
        if any(not str(port).startswith(("127.", "[::1]")) for port in ports):
            found.append(name)
    return found


# %% 12.2 | Where does it listen without `host_ip`
def exposed(compose):
    found = []
    for name, service in compose["services"].items():
        ports = [port for port in service.get("ports", []) if not isinstance(port, dict)]
        if any(not str(port).startswith(("127.", "[::1]")) for port in ports):
            found.append(name)
    return found


# %% 12.2 | Whose network has a service with `network_mode: host`
def exposed(compose):
    found = []
    for name, service in compose["services"].items():
        ports = [port for port in service.get("ports", [])]
        texts = [f"{port.get('host_ip', '')}:" if isinstance(port, dict) else str(port) for port in ports]
        if any(not text.startswith(("127.", "[::1]")) for text in texts):
            found.append(name)
    return found


# %% 12.2 | expected a list of names
def exposed(compose):
    return len(compose["services"])


# %% 12.2 | expected names of services
def exposed(compose):
    return [port for service in compose["services"].values() for port in service.get("ports", [])]


# %% 12.3 | started anew after 21, and so for ever
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 3},
    "liveness": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | a server that never comes up is started anew after 590 seconds
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 60},
    "liveness": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | a model that goes while it runs
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health/ready", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | Which of your probes asks about the model
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | a model that is not there when it starts
probes = {
    "startup": {"path": "/health/ready", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | the server is still sent requests, expected none
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/live", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | how many times no does it take
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 10, "failureThreshold": 3},
}

# %% 12.3 | takes it out of the balancer
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 1},
}

# %% 12.3 | one lost answer restarts it
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health/live", "periodSeconds": 30, "failureThreshold": 1},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | a pause of 15 seconds restarts it
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health/live", "periodSeconds": 5, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | expected within 60
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health/live", "periodSeconds": 30, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | where the server gives 404
probes = {
    "startup": {"path": "/healthz", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | for failureThreshold, expected a whole number
probes = {
    "startup": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 12},
    "liveness": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": ...},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}

# %% 12.3 | Which one is missing
probes = {
    "liveness": {"path": "/health/live", "periodSeconds": 10, "failureThreshold": 3},
    "readiness": {"path": "/health/ready", "periodSeconds": 5, "failureThreshold": 2},
}


# %% 12.4 | What is 3 times 80 / 60
def desired_replicas(replicas, current, target, lowest, highest):
    if current is not None and abs(current / target - 1) > 0.1:
        replicas = max(replicas + (1 if current > target else -1), math.ceil(current / target * 4))
    return min(max(replicas, lowest), highest)


# %% 12.4 | In which direction do you divide
def desired_replicas(replicas, current, target, lowest, highest):
    if current is not None and current > target * 1.1:
        replicas = math.ceil(replicas * current / target)
    return min(max(replicas, lowest), highest)


# %% 12.4 | What is 4 times 90 / 60
def desired_replicas(replicas, current, target, lowest, highest):
    if current is not None and abs(current / target - 1) > 0.1:
        replicas = math.ceil(replicas * target / current)
    return min(max(replicas, lowest), highest)


# %% 12.4 | What has the rest of 6.25 to run on
def desired_replicas(replicas, current, target, lowest, highest):
    if current is not None and abs(current / target - 1) > 0.1:
        replicas = round(replicas * current / target)
    return min(max(replicas, lowest), highest)


# %% 12.4 | is 6.0, expected 6, a whole number
def desired_replicas(replicas, current, target, lowest, highest):
    if current is not None and abs(current / target - 1) > 0.1:
        replicas = replicas * current / target
    return min(max(replicas, lowest), highest)


# %% 12.4 | Is 65 for 60 within a tenth
def desired_replicas(replicas, current, target, lowest, highest):
    if current is not None:
        replicas = math.ceil(replicas * current / target)
    return min(max(replicas, lowest), highest)


# %% 12.4 | Is 55 for 60 within a tenth
def desired_replicas(replicas, current, target, lowest, highest):
    if current is not None and not 1 <= current / target <= 1.1:
        replicas = (
            math.floor(replicas * current / target)
            if current < target
            else math.ceil(replicas * current / target)
        )
    return min(max(replicas, lowest), highest)


# %% 12.4 | Is the tenth one of the ratio
def desired_replicas(replicas, current, target, lowest, highest):
    if current is not None:
        wanted = math.ceil(replicas * current / target)
        if abs(wanted - replicas) > 1 or replicas > 2 and wanted > replicas * 1.1:
            replicas = wanted
    return min(max(replicas, lowest), highest)


# %% 12.4 | How many may there be at most
def desired_replicas(replicas, current, target, lowest, highest):
    if current is not None and abs(current / target - 1) > 0.1:
        replicas = math.ceil(replicas * current / target)
    return max(replicas, lowest)


# %% 12.4 | How few may there be
def desired_replicas(replicas, current, target, lowest, highest):
    if current is not None and abs(current / target - 1) > 0.1:
        replicas = math.ceil(replicas * current / target)
    return min(replicas, highest)


# %% 12.4 | do the limits hold where the ratio is 1
def desired_replicas(replicas, current, target, lowest, highest):
    if current is None or abs(current / target - 1) <= 0.1:
        return replicas
    return min(max(math.ceil(replicas * current / target), lowest), highest)


# %% 12.4 | unsupported operand type(s) for /: 'NoneType' and 'int'
def desired_replicas(replicas, current, target, lowest, highest):
    if abs(current / target - 1) > 0.1:
        replicas = math.ceil(replicas * current / target)
    return min(max(replicas, lowest), highest)


# %% 12.4 | what do you know about the load
def desired_replicas(replicas, current, target, lowest, highest):
    if current is None:
        return highest
    if abs(current / target - 1) > 0.1:
        replicas = math.ceil(replicas * current / target)
    return min(max(replicas, lowest), highest)
