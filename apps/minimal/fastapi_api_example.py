"""A FastAPI server for one model, whole on one page. It loads the model before it answers anyone.

    python -m apps.minimal.fastapi_api_example
    uvicorn apps.minimal.fastapi_api_example:app --reload      (while you write it)

Settings, from the environment: MODEL_PATH (model.pkl), HOST (127.0.0.1), PORT (8000)."""

import hashlib
import io
import json
import logging
import os
import sys
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import joblib
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

APP = "fastapi_api_example"
MODEL_PATH = Path(os.environ.get("MODEL_PATH", "model.pkl"))
CARD_PATH = MODEL_PATH.with_name("card.json")
STARTED = time.monotonic()


# --- logging: one JSON object for each event, and never a feature in it
class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record), "level": record.levelname, "event": record.getMessage()}
        return json.dumps(line | getattr(record, "fields", {}))


handler = logging.StreamHandler()
handler.setFormatter(JsonLines())
logging.basicConfig(level=logging.INFO, handlers=[handler])
log = logging.getLogger(APP)


# --- the model
loaded, failed, reason = None, "never tried", ""
lock = threading.Lock()


def get_model():
    """The model and its card, loaded once however many threads ask; None while that fails, and `reason`
    says why. A failure is remembered until the files have changed."""
    global loaded, failed, reason
    if loaded is None:
        with lock:
            found = [path.stat().st_mtime_ns for path in (MODEL_PATH, CARD_PATH) if path.exists()]
            if loaded is None and found != failed:
                try:
                    loaded = load()
                    log.info("model loaded", extra={"fields": {"version": loaded[1]["version"]}})
                except Exception as error:
                    failed = found
                    reason = f"{MODEL_PATH.name} cannot be loaded ({type(error).__name__}); the log says more"
                    details = {"path": str(MODEL_PATH), "error": repr(error)}
                    log.error("model not loaded", extra={"fields": details})
    return loaded


def load():
    """The model in MODEL_PATH, and the card beside it if that describes these very bytes."""
    data = MODEL_PATH.read_bytes()
    model, sha256 = joblib.load(io.BytesIO(data)), hashlib.sha256(data).hexdigest()
    card = json.loads(CARD_PATH.read_text(encoding="utf-8")) if CARD_PATH.exists() else {"files": {}}
    if sha256 not in [file["sha256"] for file in card["files"].values()]:
        features = [{"name": f"feature {number}"} for number in range(1, model.n_features_in_ + 1)]
        classes = [str(label) for label in model.classes_] if hasattr(model, "classes_") else None
        card = {"name": MODEL_PATH.stem, "version": sha256[:12], "features": features, "classes": classes}
    return model, card


# --- the input
class Input(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    features: list[FiniteFloat]


def no_duplicates(pairs: list) -> dict:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


async def read_features(request: Request) -> list[float]:
    """The features that a request carries; HTTPException 400, which never repeats what came, where there
    are none."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(400, "expected the header Content-Type: application/json")
    try:
        fields = json.loads((await request.body()).decode("utf-8"), object_pairs_hook=no_duplicates)
        return Input.model_validate(fields).features
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise HTTPException(400, f'expected {{"features": [numbers]}} and nothing else: {message}') from None
    except (ValueError, RecursionError):
        raise HTTPException(400, "expected one JSON object in UTF-8, with no name in it twice") from None


def check_features(features: list[float], card: dict) -> None:
    """HTTPException 400 unless there is a number for each feature of the card, within its range."""
    names = [feature["name"] for feature in card["features"]]
    if len(features) != len(names):
        raise HTTPException(400, f"expected {len(names)} features ({', '.join(names)}), got {len(features)}")
    for value, feature in zip(features, card["features"], strict=True):
        low, high = feature.get("minimum", value), feature.get("maximum", value)
        if not low <= value <= high:
            raise HTTPException(400, f"expected {feature['name']} from {low:g} to {high:g}, got one outside")


# --- the server
@asynccontextmanager
async def lifespan(app: FastAPI):
    get_model()
    yield


app = FastAPI(title="One model, with FastAPI", lifespan=lifespan, redirect_slashes=False)
BODY = {"content": {"application/json": {"schema": Input.model_json_schema()}}, "required": True}
ERRORS = {
    400: {"description": "Invalid input"},
    503: {"description": "No model"},
    "4XX": {"description": "Any other refusal"},  # keeps FastAPI's own 422 out of the document
}


@app.post("/predict", responses=ERRORS, openapi_extra={"requestBody": BODY})
def predict(features: Annotated[list[float], Depends(read_features)], probabilities: str = "false"):
    if get_model() is None:
        raise HTTPException(503, reason)
    model, card = loaded
    check_features(features, card)
    started = time.perf_counter()
    try:
        answer = {"prediction": model.predict([features]).tolist()}
        if probabilities == "true" and hasattr(model, "predict_proba"):
            answer["probabilities"] = model.predict_proba([features]).tolist()
        json.dumps(answer, allow_nan=False)  # raises ValueError for what JSON has no word for
    except Exception as error:
        log.warning("prediction failed", extra={"fields": {"error": type(error).__name__}})
        raise HTTPException(400, "the model cannot predict from these features") from None
    log.info("predicted", extra={"fields": {"ms": round((time.perf_counter() - started) * 1000, 3)}})
    return answer


# One route for GET and HEAD, so that a 405 names both; the decorator above it is for the document alone.
@app.get("/health", responses=ERRORS)
@app.api_route("/health", methods=["GET", "HEAD"], include_in_schema=False)
def health():
    health = {"app": APP, "uptime_seconds": round(time.monotonic() - STARTED, 3)}
    if get_model() is None:
        return JSONResponse({"status": "unavailable", "reason": reason} | health, status_code=503)
    return {"status": "ok", "model": {name: loaded[1][name] for name in ("name", "version")}} | health


@app.get("/model", responses=ERRORS)
@app.api_route("/model", methods=["GET", "HEAD"], include_in_schema=False)
def model_card():
    if get_model() is None:
        raise HTTPException(503, reason)
    return loaded[1]


@app.exception_handler(Exception)
async def broken(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "Internal Server Error"}, status_code=500)


def main() -> None:
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8000")
    if not port.isdecimal() or int(port) > 65535:
        sys.exit(f"{APP}: expected a number in PORT, from 0 to 65535")
    uvicorn.run(app, host=host, port=int(port), log_config=None, access_log=False)


if __name__ == "__main__":
    main()
