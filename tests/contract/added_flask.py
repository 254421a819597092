"""A route of every kind that people write with Flask, on a bare app or on the full server:

python tests/contract/added_flask.py bare|full     (PORT; the project's folder in PYTHONPATH)"""

import hashlib
import os
import sys
import threading
import time

import waitress
from flask import Flask, abort, after_this_request, jsonify, redirect, request, send_file, stream_with_context
from pydantic import BaseModel

from apps.service.bodies import streamed

DONE: list[str] = []  # what happened beside the answers


class SignUp(BaseModel):
    name: str
    password: str
    age: int


def add(app: Flask) -> Flask:
    @app.get("/added/done")
    def done():
        return jsonify(DONE)

    @app.get("/added/def")
    def plain():
        return {"kind": "def"}

    def parts(kind: str, count: int):
        try:
            for number in range(count):
                yield f"data: {number}\n\n"
                time.sleep(0.02)
            if kind == "breaks":
                raise RuntimeError("in mid-stream")
            if kind == "exits":
                sys.exit("in mid-stream")
        finally:
            DONE.append(kind)

    @app.get("/added/stream")
    def stream():
        return app.response_class(stream_with_context(parts("stream", 3)), mimetype="text/plain")

    @app.get("/added/events")
    def events():
        headers = {"Cache-Control": "no-cache"}
        return app.response_class(parts("events", 3), mimetype="text/event-stream", headers=headers)

    @app.get("/added/breaks")
    def breaks():
        return app.response_class(parts("breaks", 2), mimetype="text/plain")

    @app.get("/added/exits-in-mid-stream")
    def exits_in_mid_stream():
        return app.response_class(parts("exits", 2), mimetype="text/plain")

    @app.get("/added/endless")
    def endless():
        return app.response_class(parts("endless", 10_000), mimetype="text/plain")

    @app.get("/added/torrent")
    def torrent():
        return app.response_class((bytes(65536) for _ in range(10_000)), mimetype="text/plain")

    @app.post("/added/upload")
    def upload():
        file = request.files["file"]
        return {"name": file.filename, "size": len(file.read())}

    @app.post("/added/pieces")
    @streamed("jobs_max_bytes")
    def pieces():
        digest, size = hashlib.sha256(), 0
        while piece := request.stream.read(1 << 16):
            digest.update(piece)
            size += len(piece)
            if 0 <= int(request.args.get("stop", -1)) < size:
                abort(409, "enough")
        return {"size": size, "sha256": digest.hexdigest()}

    @app.post("/added/later")
    def later():
        def work():
            time.sleep(1)
            DONE.append("later")

        threading.Thread(target=work).start()
        return {"kind": "later"}

    @app.get("/added/yield")
    def with_session():
        DONE.append("opened")

        @after_this_request
        def close(response):
            DONE.append("closed")
            return response

        return {"kind": "session"}

    @app.get("/added/file")
    def file():
        return send_file(__file__, mimetype="text/plain")

    @app.get("/added/moved")
    def moved():
        return redirect("/added/def", 307)

    @app.get("/added/raises")
    def raises():
        raise RuntimeError("no such luck")

    @app.get("/added/exits")
    def exits():
        sys.exit("no such luck")

    @app.get("/added/conflict")
    def conflict():
        abort(409, "there already")

    @app.post("/added/typed")
    def typed():
        return {"name": SignUp.model_validate_json(request.data).name}

    return app


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        bare = Flask(__name__)
        bare.get("/health")(lambda: {})
        waitress.serve(add(bare), host="127.0.0.1", port=int(os.environ["PORT"]))
    else:
        from apps.flask_app import create_app
        from apps.servers import waitress_server
        from apps.service import build

        waitress_server.run(lambda service: add(create_app(service)), build("flask_app", port=5000))
