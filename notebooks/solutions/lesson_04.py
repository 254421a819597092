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
