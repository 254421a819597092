"""Wrong answers to the exercises of lesson 03, and what the check must say of each."""
# ruff: noqa: E402, F811, F821


# %% 3.1 | with an empty file, the startup raised EOFError
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model, app.state.reason = None, ""
    try:
        app.state.model = joblib.load(app.state.path)
    except (FileNotFoundError, KeyError) as error:
        app.state.reason = repr(error)
    yield


# %% 3.1 | with an empty file, `app.state.reason` is ''
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model, app.state.reason = None, ""
    try:
        app.state.model = joblib.load(app.state.path)
    except Exception as error:
        app.state.reason = str(error)
    yield


# %% 3.1 | Which line sets it when loading fails?
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.reason = ""
    try:
        app.state.model = joblib.load(app.state.path)
    except Exception as error:
        app.state.reason = repr(error)
    yield


# %% 3.1 | Does it come into memory before the `yield`, or after?
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model, app.state.reason = None, ""
    yield
    try:
        app.state.model = joblib.load(app.state.path)
    except Exception as error:
        app.state.reason = repr(error)


# %% 3.1 | Which lines have to be inside the `try`?
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model, app.state.reason = None, ""
    try:
        app.state.model = joblib.load(app.state.path)
        yield
    except Exception as error:
        app.state.reason = repr(error)
        yield


# %% 3.2 | What turns a text into a number
class Climate(BaseModel):
    model_config = ConfigDict(extra="forbid")
    celsius: FiniteFloat = Field(ge=-40, le=60)
    humidity: int = Field(ge=0, le=100)
    open: bool


# %% 3.2 | What does pydantic do with a field that the class does not have
class Climate(BaseModel):
    model_config = ConfigDict(strict=True)
    celsius: FiniteFloat = Field(ge=-40, le=60)
    humidity: int = Field(ge=0, le=100)
    open: bool


# %% 3.2 | What is the lowest temperature?
class Climate(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    celsius: FiniteFloat
    humidity: int
    open: bool


# %% 3.2 | Which of your rules is too strict?
class Climate(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    celsius: int = Field(ge=-40, le=60)
    humidity: int = Field(ge=0, le=100)
    open: bool


# %% 3.3 | Which of the two holds now, the first or the last?
def why_no_model(log):
    for line in log.splitlines():
        if "model not loaded" in line:
            return json.loads(line)["error"]


# %% 3.3 | What does `model loaded` say about the failure before it?
def why_no_model(log):
    failures = [json.loads(line)["error"] for line in log.splitlines() if "model not loaded" in line]
    return failures[-1] if failures else None


# %% 3.3 | raised JSONDecodeError
def why_no_model(log):
    error = None
    for line in log.splitlines():
        event = json.loads(line)
        if event["event"] == "model not loaded":
            error = event["error"]
        elif event["event"] == "model loaded":
            error = None
    return error


# %% 3.4 | /health still says: shelf.pkl cannot be loaded
shutil.copy(MODEL.with_name("model.onnx"), SHELF / "shelf.pkl")

# %% 3.4 | it is another process
from classroom.servers import Server

patient = Server("fastapi", env={"MODEL_PATH": str(MODEL)})
patient.wait()
