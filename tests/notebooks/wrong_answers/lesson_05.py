"""Known wrong answers of lesson 05: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)


# %% 5.1 | only in a newline at the end and the name of the server: expected True, got False
def same_answer(a, b):
    return a.status_code == b.status_code and a.text == b.text


# %% 5.1 | which headers does a program act on
def same_answer(a, b):
    return a.status_code == b.status_code and a.headers == b.headers and a.json() == b.json()


# %% 5.1 | in the prediction: expected False, got True
def same_answer(a, b):
    return a.status_code == b.status_code


# %% 5.1 | in the status (400 and 503): expected False, got True
def same_answer(a, b):
    return a.json() == b.json()


# %% 5.1 | in Content-Type, with the same body: expected False
def same_answer(a, b):
    return a.status_code == b.status_code and a.json() == b.json()


# %% 5.1 | raised KeyError
def same_answer(a, b):
    headers = all(a.headers[name] == b.headers[name] for name in ("content-type", "allow", "location"))
    return headers and a.status_code == b.status_code and a.json() == b.json()


# %% 5.1 | raised JSONDecodeError
def same_answer(a, b):
    headers = all(a.headers.get(n) == b.headers.get(n) for n in ("content-type", "allow", "location"))
    return a.status_code == b.status_code and a.json() == b.json() and headers


# %% 5.1 | in the words of their HTML pages: expected False
def same_answer(a, b):
    same = all(a.headers.get(n) == b.headers.get(n) for n in ("content-type", "allow", "location"))
    if not same or a.status_code != b.status_code:
        return False
    try:
        return a.json() == b.json()
    except ValueError:
        return True


# %% 5.1 | expected True or False, got None
def same_answer(a, b):
    print(a.status_code == b.status_code)


# %% 5.1 | Is each of HEADERS_THAT_MATTER compared
def same_answer(a, b):
    def body(answer):
        try:
            return answer.json()
        except ValueError:
            return answer.text

    same = all(a.headers.get(name) == b.headers.get(name) for name in ("content-type", "allow"))
    return same and a.status_code == b.status_code and body(a) == body(b)


# %% 5.1 | Do you compare the whole status, or its first digit
def same_answer(a, b):
    def body(answer):
        try:
            return answer.json()
        except ValueError:
            return answer.text

    same = all(a.headers.get(name) == b.headers.get(name) for name in ("content-type", "allow", "location"))
    return same and a.status_code // 100 == b.status_code // 100 and body(a) == body(b)


# %% 5.1 | only in the order of the names in their JSON: expected True
def same_answer(a, b):
    same = all(a.headers.get(name) == b.headers.get(name) for name in ("content-type", "allow", "location"))
    return same and a.status_code == b.status_code and a.text.strip() == b.text.strip()


# %% 5.2 | gives 200 on both naive apps
more_cases = {
    "text": (400, "POST", "/predict", '{"features": ["5.1", "3.5", "1.4", "0.2"]}'),
    "true": (400, "POST", "/predict", '{"features": [true, 3.5, 1.4, 0.2]}'),
    "null": (400, "POST", "/predict", "null"),
}

# %% 5.2 | you expect 422, and our page answered 400
more_cases = {"null": (422, "POST", "/predict", "null")}

# %% 5.2 | the table above has this very request
more_cases = {"cut": (400, "POST", "/predict", '{"features": [5.1,')}

# %% 5.2 | Is the body a string
more_cases = {"a word": (400, "POST", "/predict", {"features": ["five", 3.5, 1.4, 0.2]})}

# %% 5.2 | expected a dictionary
more_cases = [(400, "POST", "/predict", "null")]

# %% 5.2 | expected three requests, got 1
more_cases = {"null": (400, "POST", "/predict", "null")}

# %% 5.2 | your own table has this very request
more_cases = {
    "null": (400, "POST", "/predict", "null"),
    "nothing": (400, "POST", "/predict", "null", "application/json"),
    "a list": (400, "POST", "/predict", "[]"),
}

# %% 5.2 | you expect '400' (a str), and our page answered 400
more_cases = {"null": ("400", "POST", "/predict", "null")}

# %% 5.2 | gives 404 on both naive apps
more_cases = {"a typing error": (404, "POST", "/predcit", "{}")}

# %% 5.3 | expected {"prediction": [0]}
third = Flask("third")


@third.post("/predict")
def third_predict():
    features = StrictFlower.model_validate_json(request.get_data()).features
    return {"prediction": int(model.predict([features])[0])}


@third.errorhandler(Exception)
def third_refused(error):
    return {"detail": "invalid input"}, 400


# %% 5.3 | no Content-Type gets status 200, expected 400
third = Flask("third")


@third.post("/predict")
def third_predict():
    features = StrictFlower.model_validate_json(request.get_data()).features
    return {"prediction": model.predict([features]).tolist()}


@third.errorhandler(Exception)
def third_refused(error):
    return {"detail": "invalid input"}, 400


# %% 5.3 | an unknown path gets status 400, expected 404
from flask import abort

third = Flask("third")


@third.post("/predict")
def third_predict():
    if request.mimetype != "application/json":
        abort(400)
    features = StrictFlower.model_validate_json(request.get_data()).features
    return {"prediction": model.predict([features]).tolist()}


@third.errorhandler(Exception)
def third_refused(error):
    return {"detail": "invalid input"}, 400


# %% 5.3 | no Content-Type gets status 415, expected 400
third = Flask("third")


@third.post("/predict")
def third_predict():
    features = StrictFlower.model_validate(request.json).features
    return {"prediction": model.predict([features]).tolist()}


@third.errorhandler(ValueError)
def third_invalid(error):
    return {"detail": "invalid input"}, 400


@third.errorhandler(415)
def third_type(error):
    return {"detail": "invalid input"}, 415


@third.errorhandler(400)
def third_refused(error):
    return {"detail": "invalid input"}, 400


# %% 5.3 | a body cut off gets 400 with text/html; charset=utf-8, expected application/json
third = Flask("third")


@third.post("/predict")
def third_predict():
    features = StrictFlower.model_validate(request.json).features
    return {"prediction": model.predict([features]).tolist()}


# %% 5.3 | 405 without the header Allow
from flask import abort
from werkzeug.exceptions import HTTPException

third = Flask("third")


@third.post("/predict")
def third_predict():
    if request.mimetype != "application/json":
        abort(400)
    features = StrictFlower.model_validate_json(request.get_data()).features
    return {"prediction": model.predict([features]).tolist()}


@third.errorhandler(ValueError)
def third_invalid(error):
    return {"detail": "invalid input"}, 400


@third.errorhandler(HTTPException)
def third_refused(error):
    return {"detail": error.name}, error.code


# %% 5.3 | three numbers gets status 500, expected 400
from flask import abort
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

third = Flask("third")
third.logger.disabled = True


@third.post("/predict")
def third_predict():
    if request.mimetype != "application/json":
        abort(400)
    features = StrictFlower.model_validate_json(request.get_data()).features
    return {"prediction": model.predict([features]).tolist()}


@third.errorhandler(ValidationError)
def third_invalid(error):
    return {"detail": "invalid input"}, 400


@third.errorhandler(HTTPException)
def third_refused(error):
    response = error.get_response()
    response.data, response.content_type = json.dumps({"detail": error.name}), "application/json"
    return response


# %% 5.3 | a bug of your own (a RuntimeError) gets 400, expected 500
from flask import abort
from werkzeug.exceptions import HTTPException

third = Flask("third")


@third.post("/predict")
def third_predict():
    if request.mimetype != "application/json":
        abort(400)
    features = StrictFlower.model_validate_json(request.get_data()).features
    return {"prediction": model.predict([features]).tolist()}


@third.errorhandler(Exception)
def third_invalid(error):
    return {"detail": "invalid input"}, 400


@third.errorhandler(HTTPException)
def third_refused(error):
    response = error.get_response()
    response.data, response.content_type = json.dumps({"detail": error.name}), "application/json"
    return response


# %% 5.3 | expected {"detail": "…"}
from flask import abort
from werkzeug.exceptions import HTTPException

third = Flask("third")


@third.post("/predict")
def third_predict():
    if request.mimetype != "application/json":
        abort(400)
    features = StrictFlower.model_validate_json(request.get_data()).features
    return {"prediction": model.predict([features]).tolist()}


@third.errorhandler(ValueError)
def third_invalid(error):
    return {"error": "invalid input"}, 400


@third.errorhandler(HTTPException)
def third_refused(error):
    response = error.get_response()
    response.data, response.content_type = json.dumps({"error": error.name}), "application/json"
    return response


# %% 5.4 | Who decides the factor, the view or the dependency
from fastapi import HTTPException


def factor(unit: str = "cm"):
    if unit not in ("cm", "mm"):
        raise HTTPException(400, "expected cm or mm")
    return 0.1 if unit == "mm" else 1.0


def create_scaler():
    router = APIRouter(prefix="/v1")

    @router.post("/scale")
    def scale(flower: Flower, unit: str = "cm"):
        return {"features": [factor(unit) * value for value in flower.features]}

    app = FastAPI()
    app.include_router(router)
    return app


# %% 5.4 | Has the router its prefix, and has the app included it
from fastapi import HTTPException


def factor(unit: str = "cm"):
    if unit not in ("cm", "mm"):
        raise HTTPException(400, "expected cm or mm")
    return 0.1 if unit == "mm" else 1.0


def create_scaler():
    router = APIRouter(prefix="/v1")

    @router.post("/scale")
    def scale(flower: Flower, times: Annotated[float, Depends(factor)]):
        return {"features": [times * value for value in flower.features]}

    return FastAPI()


# %% 5.4 | unit='inch' gets 500, expected 400
from fastapi import HTTPException


def factor(unit: str = "cm"):
    if unit not in ("cm", "mm"):
        return HTTPException(400, "expected cm or mm")
    return 0.1 if unit == "mm" else 1.0


def create_scaler():
    router = APIRouter(prefix="/v1")

    @router.post("/scale")
    def scale(flower: Flower, times: Annotated[float, Depends(factor)]):
        return {"features": [times * value for value in flower.features]}

    app = FastAPI()
    app.include_router(router)
    return app


# %% 5.4 | two calls gave the same app
from fastapi import HTTPException


def factor(unit: str = "cm"):
    if unit not in ("cm", "mm"):
        raise HTTPException(400, "expected cm or mm")
    return 0.1 if unit == "mm" else 1.0


scaler = FastAPI()


@scaler.post("/v1/scale")
def scale(flower: Flower, times: Annotated[float, Depends(factor)]):
    return {"features": [times * value for value in flower.features]}


def create_scaler():
    return scaler


# %% 5.4 | unit='inch' gets 200, expected 400
from fastapi import HTTPException


def factor(unit: str = "cm"):
    return 0.1 if unit == "mm" else 1.0


def create_scaler():
    router = APIRouter(prefix="/v1")

    @router.post("/scale")
    def scale(flower: Flower, times: Annotated[float, Depends(factor)]):
        return {"features": [times * value for value in flower.features]}

    app = FastAPI()
    app.include_router(router)
    return app


# %% 5.4 | What is multiplied
from fastapi import HTTPException


def factor(unit: str = "cm"):
    if unit not in ("cm", "mm"):
        raise HTTPException(400, "expected cm or mm")
    return 10.0 if unit == "mm" else 1.0


def create_scaler():
    router = APIRouter(prefix="/v1")

    @router.post("/scale")
    def scale(flower: Flower, times: Annotated[float, Depends(factor)]):
        return {"features": [times * value for value in flower.features]}

    app = FastAPI()
    app.include_router(router)
    return app
