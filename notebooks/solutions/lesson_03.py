"""Solutions of lesson 03, by exercise."""
# ruff: noqa: F821


# %% 3.1
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model, app.state.reason = None, ""
    try:
        app.state.model = joblib.load(app.state.path)
    except Exception as error:
        # repr, not str: an EOFError has no text, but it always has a name.
        app.state.reason = repr(error)
    # Outside the try: what the app raises later is not a failed load.
    yield


# %% 3.2
class Climate(BaseModel):
    # strict converts nothing; without "forbid" an unknown field would be dropped in silence.
    model_config = ConfigDict(strict=True, extra="forbid")
    # A range refuses NaN too, since NaN is neither above nor below anything; the type says it aloud.
    celsius: FiniteFloat = Field(ge=-40, le=60)
    humidity: int = Field(ge=0, le=100)
    open: bool


# %% 3.3
def why_no_model(log):
    error = None
    for line in log.splitlines():
        if not line.startswith("{"):
            continue  # Python's own warnings share the file
        event = json.loads(line)
        if event["event"] == "model not loaded":
            error = event["error"]  # a later failure replaces an earlier one
        elif event["event"] == "model loaded":
            error = None  # what was mended is no failure any more
    return error


# %% 3.4
# The whole file, under the path that the server knows; its time changes, so the next request tries again.
shutil.copy(MODEL, SHELF / "shelf.pkl")
