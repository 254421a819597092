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


# %% 3.1 | has no `yield`, so it has no second half
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model, app.state.reason = None, ""
    try:
        app.state.model = joblib.load(app.state.path)
    except Exception as error:
        app.state.reason = repr(error)
    return


# %% 3.1 | `app.state.model` was never set
model, reason = None, ""


@asynccontextmanager
async def surviving_lifespan(app):
    global model, reason
    try:
        model = joblib.load(app.state.path)
    except Exception as error:
        model, reason = None, repr(error)
    yield


# %% 3.1 | expected `@asynccontextmanager` on the line above
async def surviving_lifespan(app):
    app.state.model, app.state.reason = None, ""
    try:
        app.state.model = joblib.load(app.state.path)
    except Exception as error:
        app.state.reason = repr(error)
    yield


# %% 3.1 | ended without coming to a `yield`
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model, app.state.reason = None, ""
    try:
        app.state.model = joblib.load(app.state.path)
        yield
    except Exception as error:
        app.state.reason = repr(error)


# %% 3.1 | with a file that is no model, the startup raised
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model, app.state.reason = None, "there is no such file"
    if app.state.path.exists():
        app.state.model, app.state.reason = joblib.load(app.state.path), ""
    yield


# %% 3.1 | is the error itself
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model, app.state.reason = None, ""
    try:
        app.state.model = joblib.load(app.state.path)
    except Exception as error:
        app.state.reason = error
    yield


# %% 3.1 | with a good file, `app.state.reason` is None
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model = app.state.reason = None
    try:
        app.state.model = joblib.load(app.state.path)
    except Exception as error:
        app.state.reason = repr(error)
    yield


# %% 3.1 | your lifespan is a plain `def`
from contextlib import contextmanager


@contextmanager
def surviving_lifespan(app):
    app.state.model, app.state.reason = None, ""
    try:
        app.state.model = joblib.load(app.state.path)
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


# %% 3.2 | although `open` is missing
class Climate(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    celsius: FiniteFloat = Field(ge=-40, le=60)
    humidity: int = Field(ge=0, le=100)
    open: bool = False


# %% 3.2 | (the lower ends) was refused
class Climate(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    celsius: FiniteFloat = Field(gt=-40, lt=60)
    humidity: int = Field(gt=0, lt=100)
    open: bool


# %% 3.2 | Is 40.0 a whole number
class Climate(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    celsius: FiniteFloat = Field(ge=-40, le=60)
    humidity: float = Field(ge=0, le=100)
    open: bool


# %% 3.2 | although `celsius` is missing
class Climate(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    celsius: FiniteFloat = Field(20, ge=-40, le=60)
    humidity: int = Field(ge=0, le=100)
    open: bool


# %% 3.2 | Is null a whole number
class Climate(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    celsius: FiniteFloat = Field(ge=-40, le=60)
    humidity: int | None = Field(ge=0, le=100)
    open: bool


# %% 3.3 | Was the name looked up before anybody asked whether it is there
from typing import Literal

MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
garden = FastAPI()


class Length(BaseModel):
    name: str
    value: float
    unit: str


@garden.get("/medians/{name}")
def median(name: str, unit: Literal["cm", "mm"] = "cm") -> Length:
    return Length(name=name, value=MEDIANS[name] * (10 if unit == "mm" else 1), unit=unit)


# %% 3.3 | Was the HTTPException returned, or raised
from typing import Literal

MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
garden = FastAPI()


class Length(BaseModel):
    name: str
    value: float
    unit: str


@garden.get("/medians/{name}")
def median(name: str, unit: Literal["cm", "mm"] = "cm"):
    if name not in MEDIANS:
        return HTTPException(404, "no such name")
    return Length(name=name, value=MEDIANS[name] * (10 if unit == "mm" else 1), unit=unit)


# %% 3.3 | Which type has only the values "cm" and "mm"
MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
garden = FastAPI()


class Length(BaseModel):
    name: str
    value: float
    unit: str


@garden.get("/medians/{name}")
def median(name: str, unit: str = "cm") -> Length:
    if name not in MEDIANS:
        raise HTTPException(404, "no such name")
    return Length(name=name, value=MEDIANS[name] * (10 if unit == "mm" else 1), unit=unit)


# %% 3.3 | is its type or its default the reason
from typing import Literal

MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
garden = FastAPI()


class Length(BaseModel):
    name: str
    value: float
    unit: str


@garden.get("/medians/{name}")
def median(name: str, unit: Literal["cm", "mm"]) -> Length:
    if name not in MEDIANS:
        raise HTTPException(404, "no such name")
    return Length(name=name, value=MEDIANS[name] * (10 if unit == "mm" else 1), unit=unit)


# %% 3.3 | expected the route GET /medians/{name}, found: /medians
from typing import Literal

MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
garden = FastAPI()


class Length(BaseModel):
    name: str
    value: float
    unit: str


@garden.get("/medians")
def median(name: str, unit: Literal["cm", "mm"] = "cm") -> Length:
    if name not in MEDIANS:
        raise HTTPException(404, "no such name")
    return Length(name=name, value=MEDIANS[name] * (10 if unit == "mm" else 1), unit=unit)


# %% 3.3 | How many millimetres are a centimetre
from typing import Literal

MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
garden = FastAPI()


class Length(BaseModel):
    name: str
    value: float
    unit: str


@garden.get("/medians/{name}")
def median(name: str, unit: Literal["cm", "mm"] = "cm") -> Length:
    if name not in MEDIANS:
        raise HTTPException(404, "no such name")
    return Length(name=name, value=MEDIANS[name], unit=unit)


# %% 3.3 | it answers rightly, but promises nothing
from typing import Literal

MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
garden = FastAPI()


class Length(BaseModel):
    name: str
    value: float
    unit: str


@garden.get("/medians/{name}")
def median(name: str, unit: Literal["cm", "mm"] = "cm"):
    if name not in MEDIANS:
        raise HTTPException(404, "no such name")
    return {"name": name, "value": MEDIANS[name] * (10 if unit == "mm" else 1), "unit": unit}


# %% 3.3 | gave 200 and a list of two
from typing import Literal

MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
garden = FastAPI()


class Length(BaseModel):
    name: str
    value: float
    unit: str


@garden.get("/medians/{name}")
def median(name: str, unit: Literal["cm", "mm"] = "cm"):
    if name not in MEDIANS:
        return {"detail": "no such name"}, 404
    return Length(name=name, value=MEDIANS[name] * (10 if unit == "mm" else 1), unit=unit)


# %% 3.4 | Which of the two holds now, the first or the last?
def why_no_model(log):
    for line in log.splitlines():
        if "model not loaded" in line:
            return json.loads(line)["error"]


# %% 3.4 | What does `model loaded` say about the failure before it?
def why_no_model(log):
    failures = [json.loads(line)["error"] for line in log.splitlines() if "model not loaded" in line]
    return failures[-1] if failures else None


# %% 3.4 | raised JSONDecodeError
def why_no_model(log):
    error = None
    for line in log.splitlines():
        event = json.loads(line)
        if event["event"] == "model not loaded":
            error = event["error"]
        elif event["event"] == "model loaded":
            error = None
    return error


# %% 3.4 | Does `model loaded` say anything about a failure that comes after it
def why_no_model(log):
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    if any(event["event"] == "model loaded" for event in events):
        return None
    failures = [event["error"] for event in events if event["event"] == "model not loaded"]
    return failures[-1] if failures else None


# %% 3.4 | expected "No such file
def why_no_model(log):
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    last = events[-1] if events else {}
    return last.get("error")


# %% 3.4 | Which part of that line is asked for
def why_no_model(log):
    found = None
    for line in log.splitlines():
        if line.startswith("{"):
            event = json.loads(line)
            if event["event"] == "model not loaded":
                found = event
            elif event["event"] == "model loaded":
                found = None
    return found


# %% 3.4 | What is asked for where nothing failed
def why_no_model(log):
    error = ""
    for line in log.splitlines():
        if line.startswith("{"):
            event = json.loads(line)
            error = event.get("error", "" if event["event"] == "model loaded" else error)
    return error


# %% 3.5 | /health still says: shelf.pkl cannot be loaded
shutil.copy(MODEL.with_name("model.onnx"), SHELF / "shelf.pkl")


# %% 3.5 | it is another process
from classroom.servers import Server

patient = Server("fastapi", env={"MODEL_PATH": str(MODEL)})
patient.wait()


# %% 3.5 | Which file could it load
shutil.copy(MODEL, SHELF)


# %% 3.5 | and is all of it there
(SHELF / "shelf.pkl").touch()


# %% 3.5 | for a versicolor it answers 200 {"prediction":[0]}
from classroom.servers import Server
from sklearn.dummy import DummyClassifier

patient = Server("minimal_fastapi", env={"MODEL_PATH": ".kit/lesson_03/shelf.pkl"})
patient.wait()
always_setosa = DummyClassifier(strategy="constant", constant=0).fit([[0] * 4] * 3, [0, 1, 2])
joblib.dump(always_setosa, SHELF / "shelf.pkl")
