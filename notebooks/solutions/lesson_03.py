"""Solutions of lesson 03, by exercise."""
# ruff: noqa: E402, F821


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
    # strict converts nothing but 21 to 21.0; without "forbid" an unknown field would be dropped in silence.
    model_config = ConfigDict(strict=True, extra="forbid")
    # A range refuses NaN too, since NaN is neither above nor below anything; the type says it aloud.
    celsius: FiniteFloat = Field(ge=-40, le=60)
    humidity: int = Field(ge=0, le=100)
    # No default anywhere, so that all three have to come.
    open: bool


# %% 3.3
from typing import Literal

MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
garden = FastAPI()


class Length(BaseModel):
    name: str
    value: float
    unit: str


@garden.get("/medians/{name}")
def median(name: str, unit: Literal["cm", "mm"] = "cm") -> Length:
    # The type refuses a third unit; which names there are, only the code knows.
    if name not in MEDIANS:
        raise HTTPException(404, f"expected one of {', '.join(MEDIANS)}")
    return Length(name=name, value=MEDIANS[name] * (10 if unit == "mm" else 1), unit=unit)


# %% 3.4
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


# %% 3.5
# The whole file, under the path that the server knows; its time changes, so the next request tries again.
shutil.copy(MODEL, SHELF / "shelf.pkl")
