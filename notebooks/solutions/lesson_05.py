"""Solutions of lesson 05, by exercise."""
# ruff: noqa (the names are the notebook's)

# %% 5.1
HEADERS_THAT_MATTER = ("content-type", "allow", "location")


def body_of(answer):
    try:
        # Parsed, two bodies are equal whatever their spaces, newlines and order of names.
        return answer.json()
    except ValueError:
        # HTML, or nothing: the text itself is all that there is to compare.
        return answer.text


def same_answer(a, b):
    if a.status_code != b.status_code or body_of(a) != body_of(b):
        return False
    # A header that both lack is None == None.
    return all(a.headers.get(name) == b.headers.get(name) for name in HEADERS_THAT_MATTER)


# %% 5.2
# FastAPI compares the body with `Flower` first and says 422. Flask's function runs into each of these and
# fails inside: 500. The contract has one word for a body that is not as promised: 400.
more_cases = {
    "null": (400, "POST", "/predict", "null"),
    "another name": (400, "POST", "/predict", '{"feature": [5.1, 3.5, 1.4, 0.2]}'),
    "a word": (400, "POST", "/predict", '{"features": ["five", 3.5, 1.4, 0.2]}'),
}

# %% 5.3
from flask import abort
from werkzeug.exceptions import HTTPException

third = Flask("third")


@third.post("/predict")
def third_predict():
    # pydantic reads the body whatever its type; only we can insist on the header.
    if request.mimetype != "application/json":
        abort(400, "expected the header Content-Type: application/json")
    features = StrictFlower.model_validate_json(request.get_data()).features
    # One row in, a list of one prediction out: the contract says a list.
    return {"prediction": model.predict([features]).tolist()}


# A ValidationError is a ValueError, and so is what the model says of three numbers: the client's mistakes.
# Not `Exception`: a bug of ours must stay a 500, or we blame the client for it and never hear of it.
@third.errorhandler(ValueError)
def third_invalid(error):
    return {"detail": "invalid input"}, 400


# Flask's own 404 and 405 (and our abort) know their status and headers; only the body becomes JSON.
@third.errorhandler(HTTPException)
def third_refused(error):
    response = error.get_response()
    response.data, response.content_type = json.dumps({"detail": error.name}), "application/json"
    return response


# %% 5.4
from fastapi import HTTPException


def factor(unit: str = "cm"):
    # A table instead of two ifs: what is not in it is refused, an empty text and "MM" too.
    factors = {"cm": 1.0, "mm": 0.1}
    if unit not in factors:
        # Raised, not returned: a returned one would be the view's `times`.
        raise HTTPException(400, "expected unit cm or mm")
    return factors[unit]


def create_scaler():
    # All of it is made in here, so that two apps share nothing.
    router = APIRouter(prefix="/v1")

    @router.post("/scale")
    def scale(flower: Flower, times: Annotated[float, Depends(factor)]) -> Flower:
        # The view never hears of units: whoever replaces the dependency decides.
        return Flower(features=[times * value for value in flower.features])

    app = FastAPI()
    app.include_router(router)
    return app
