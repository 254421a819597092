"""Wrong answers to the exercises of lesson 04, and what the check must say of each."""
# ruff: noqa: F811, F821


# %% 4.1 | Which request makes this app load
def warm_up(app):
    return app.test_client().post("/predict", json={}).status_code == 200


# %% 4.1 | has it been answered when you return?
def warm_up(app):
    threading.Thread(target=app.test_client().get, args=["/health"]).start()
    return True


# %% 4.1 | for an app that cannot load its model, warm_up(app) returned True
def warm_up(app):
    app.test_client().get("/health")
    return True


# %% 4.1 | with its model in memory, warm_up(app) returned
def warm_up(app):
    return app.test_client().get("/health")


# %% 4.2 | Each had seen None before it got the lock.
class LazyModel:
    def __init__(self, load):
        self.load, self.model, self.lock = load, None, threading.Lock()

    def get(self):
        if self.model is None:
            with self.lock:
                self.model = self.load()
        return self.model


# %% 4.2 | Do they all need it?
class LazyModel:
    def __init__(self, load):
        self.load, self.model, self.lock = load, None, threading.Lock()

    def get(self):
        with self.lock:
            if self.model is None:
                self.model = self.load()
        return self.model


# %% 4.2 | nobody took a lock
class LazyModel:
    def __init__(self, load):
        self.load, self.model, self.lock = load, None, threading.Lock()

    def get(self):
        if self.model is None:
            self.model = self.load()
        return self.model


# %% 4.2 | callers came away without the model
class LazyModel:
    def __init__(self, load):
        self.load, self.model, self.lock, self.begun = load, None, threading.Lock(), False

    def get(self):
        if not self.begun:
            with self.lock:
                if self.begun:
                    return self.model
                self.begun = True
            self.model = self.load()
        return self.model


# %% 4.3 | the fingerprint is still True; expected another
def fingerprint(path):
    return path.exists()


# %% 4.3 | the file was replaced by another of the same size
def fingerprint(path):
    return path.stat().st_size if path.exists() else None


# %% 4.3 | raised FileNotFoundError
def fingerprint(path):
    return path.stat().st_mtime_ns


# %% 4.3 | somebody only read the file
def fingerprint(path):
    return path.stat() if path.exists() else None


# %% 4.3 | the file was missing, and still is
def fingerprint(path):
    return time.perf_counter()


# %% 4.4 | What did your look set off?
def is_loaded(server):
    server.get("/health")
    return False


# %% 4.4 | that was started a moment ago and asked nothing, is_loaded(server) is True
def is_loaded(server):
    return server.get("/health").status_code == 200


# %% 4.4 | whose file is no model
def is_loaded(server):
    return "loaded" in server.tail(50)
