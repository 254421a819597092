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


# %% 4.1 | Which of the two routes needs no features
def warm_up(app):
    return app.test_client().post("/predict", json=FLOWER).status_code == 200


# %% 4.1 | with its model in memory, warm_up(app) returned 200
def warm_up(app):
    return app.test_client().get("/health").status_code


# %% 4.1 | raised AttributeError
def warm_up(app):
    return app.get("/health").status_code == 200


# %% 4.1 | the model had been loaded 0 times
def warm_up(app):
    global model
    model = joblib.load(MODEL)
    return True


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


# %% 4.2 | and nobody took the lock that
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


# %% 4.2 | the lock that `__init__` made for all of them
class LazyModel:
    def __init__(self, load):
        self.load, self.model, self.lock = load, None, threading.Lock()

    def get(self):
        if self.model is None:
            with threading.Lock():
                if self.model is None:
                    self.model = self.load()
        return self.model


# %% 4.2 | Who holds the lock, and when is it let go
class LazyModel:
    def __init__(self, load):
        self.load, self.model, self.lock = load, None, threading.Lock()

    def get(self):
        if self.model is None:
            self.lock.acquire()
            if self.model is None:
                self.model = self.load()
        return self.model


# %% 4.2 | What did they see while it was still loading
class LazyModel:
    def __init__(self, load):
        self.load, self.model, self.lock = load, None, threading.Lock()

    def get(self):
        if self.model is None and self.lock.acquire(blocking=False):
            self.model = self.load()
            self.lock.release()
        return self.model


# %% 4.2 | a later caller did not get the model
class LazyModel:
    def __init__(self, load):
        self.load, self.model, self.lock = load, None, threading.Lock()

    def get(self):
        if self.model is None:
            with self.lock:
                if self.model is None:
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


# %% 4.3 | the fingerprint read the file
def fingerprint(path):
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


# %% 4.3 | replaced again a quarter of a second later
def fingerprint(path):
    return int(path.stat().st_mtime) if path.exists() else None


# %% 4.3 | the file was replaced by another of the same size, and
def fingerprint(path):
    return (path.name, path.stat().st_ino, path.stat().st_size) if path.exists() else None


# %% 4.3 | nothing has happened
def fingerprint(path):
    return time.time() - path.stat().st_mtime if path.exists() else None


# %% 4.4 | What did your look set off?
def is_loaded(server):
    server.get("/health")
    return False


# %% 4.4 | that was started a moment ago and asked nothing, is_loaded(server) is True
def is_loaded(server):
    return server.get("/health").status_code == 200


# %% 4.4 | whose file is no model
def is_loaded(server):
    return "loaded" in server.log.read_text(encoding="utf-8")


# %% 4.4 | that loaded its model some while ago
def is_loaded(server):
    return '"event": "model loaded"' in server.tail(10)


# %% 4.4 | is_loaded(server) is True, expected False
def is_loaded(server):
    return server.alive


# %% 4.4 | whose /health was asked, so that it loaded, is_loaded(server) is False
def is_loaded(server):
    return "model_loaded" in server.log.read_text(encoding="utf-8")


# %% 4.4 | Does each way through it end in a `return`
def is_loaded(server):
    for event in events(server):
        if event["event"] == "model loaded":
            return True


# %% 4.5 | load() had not been called
def create_app(load):
    app, model = Flask(__name__), None

    @app.post("/predict")
    def predict():
        nonlocal model
        model = model or load()
        return {"prediction": model(request.json["features"])}

    @app.get("/health")
    def health():
        return {"status": "ok"}

    return app


# %% 4.5 | one answered with the other's
def create_app(load):
    global model
    app, model = Flask(__name__), load()

    @app.post("/predict")
    def predict():
        return {"prediction": model(request.json["features"])}

    @app.get("/health")
    def health():
        return {"status": "ok"}

    return app


# %% 4.5 | Which errors does your handler take
def create_app(load):
    app, model = Flask(__name__), load()

    @app.post("/predict")
    def predict():
        return {"prediction": model(request.json["features"])}

    @app.get("/health")
    def health():
        return {"status": "ok"}

    @app.errorhandler(404)
    def refused(error):
        return {"detail": error.description}, 404

    return app


# %% 4.5 | raised FileNotFoundError
def create_app(load):
    app, model = Flask(__name__), load()

    @app.post("/predict")
    def predict():
        return {"prediction": model(request.json["features"])}

    @app.get("/health")
    def health():
        return {"status": "ok"}

    @app.errorhandler(HTTPException)
    def refused(error):
        return {"detail": error.description}, error.code

    return app


# %% 4.5 | where load() raised, GET /health gave 200
def create_app(load):
    app = Flask(__name__)
    try:
        model = load()
    except Exception:
        model = None

    @app.post("/predict")
    def predict():
        if model is None:
            abort(503, "no model")
        return {"prediction": model(request.json["features"])}

    @app.get("/health")
    def health():
        return {"status": "ok"}

    @app.errorhandler(HTTPException)
    def refused(error):
        return {"detail": error.description}, error.code

    return app


# %% 4.5 | load() was called 3 times
def create_app(load):
    app = Flask(__name__)
    load()

    @app.post("/predict")
    def predict():
        return {"prediction": load()(request.json["features"])}

    @app.get("/health")
    def health():
        return {"status": "ok"}

    return app


# %% 4.5 | Does it end in `return app`
def create_app(load):
    app, model = Flask(__name__), load()

    @app.post("/predict")
    def predict():
        return {"prediction": model(request.json["features"])}

    @app.get("/health")
    def health():
        return {"status": "ok"}
