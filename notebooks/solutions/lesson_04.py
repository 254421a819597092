"""Solutions of lesson 04, by exercise."""
# ruff: noqa: F821


# %% 4.1
def warm_up(app):
    # Health loads what it needs and takes no input, so it fits every model; its status says how it went.
    return app.test_client().get("/health").status_code == 200


# %% 4.2
class LazyModel:
    def __init__(self, load):
        self.load, self.model, self.lock = load, None, threading.Lock()

    def get(self):
        # The first look keeps everybody out of the queue once the model is there.
        if self.model is None:
            with self.lock:
                # The second look is for those who waited: somebody may have loaded it meanwhile.
                if self.model is None:
                    self.model = self.load()
        return self.model


# %% 4.3
def fingerprint(path):
    # The time of the last write: reading leaves it alone, and every replacement changes it.
    return path.stat().st_mtime_ns if path.exists() else None


# %% 4.4
def is_loaded(server):
    # The log knows, and reading it sets nothing off. Both quotes count: `model not loaded` is another event.
    return '"event": "model loaded"' in server.log.read_text(encoding="utf-8")


# %% 4.5
def create_app(load):
    app = Flask(__name__)
    try:
        # In the factory, so before anybody can ask. A local name: each call has its own.
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
        return {"status": "ok"} if model is not None else abort(503, "no model")

    # For all of Werkzeug's refusals: abort's own, and those that no view has a part in.
    @app.errorhandler(HTTPException)
    def refused(error):
        return {"detail": error.description}, error.code

    return app
