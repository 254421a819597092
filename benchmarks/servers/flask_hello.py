"""Flask's own hello-world: the measure for the Flask server."""

from flask import Flask

app = Flask(__name__)


@app.get("/hello")
def hello():
    return {"hello": "world"}
