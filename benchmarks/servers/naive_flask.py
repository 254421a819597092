"""What one writes first: joblib and scikit-learn."""

import os

import joblib
from flask import Flask, request

app = Flask(__name__)
model = joblib.load(os.environ["MODEL_PATH"])


@app.post("/predict")
def predict():
    return {"prediction": model.predict([request.json["features"]]).tolist()}
