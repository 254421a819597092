"""Documents: the OpenAPI document, the page that shows it, and a page about every problem.

The page at /docs is Swagger UI, of whose package only the files are used. It loads nothing from outside,
which its content security policy forbids it as well. https://github.com/swagger-api/swagger-ui"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from apps.service import problems
from apps.service.model import Model
from apps.service.problems import Problem

PACKAGE = "flask_swagger_ui"  # found and not imported: that would import Flask
FILES = {
    "start.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
# Its links are relative, so that they are right under any path that the app is mounted under.
DOCS = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self'; connect-src 'self';
 img-src 'self' data:; style-src 'self' 'unsafe-inline'">
<title>The API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<style>
body { margin: 0 }
.opblock-head { display: none } /* every GET answers HEAD too, as the page says once */
.response-col_links { display: none } /* there are none */
.swagger-ui .opblock .opblock-section-header, .swagger-ui .try-out { flex-wrap: wrap; padding: 8px }
.swagger-ui .try-out__btn { margin: 4px 0 }
.responses-table { table-layout: fixed; overflow-wrap: anywhere }
.responses-table .col_header:first-child, .responses-table .response-col_status { width: 4rem }
</style>
<main id="api"></main>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
"""
START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
})
"""


@cache
def page_file(file: str) -> tuple[bytes, str]:
    """A file of the page, and its media type. Raises Problem 404 for one that is not of it."""
    if file not in FILES:
        raise Problem("not-found", f"expected a file among {', '.join(FILES)}")
    if file == "start.js":
        return START.encode(), FILES[file]
    spec = find_spec(PACKAGE)
    if spec is None:
        raise Problem("not-found", "the page's files are not installed here: pip install flask-swagger-ui")
    return (Path(spec.origin).parent / "dist" / file).read_bytes(), FILES[file]


VERSION = "0.3.0"
HTML = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}
JSON = {200: {"content": {"application/json": {"schema": {"type": "object"}}}}}
PAGE = {200: {"content": {media_type: {"schema": {}} for media_type in sorted(set(FILES.values()))}}}


class Documents:
    def __init__(self, app: str, settings, model: Model, requests) -> None:
        self._app, self._settings, self._model, self._requests = app, settings, model, requests
        self._made: tuple = (), b""  # the document, and what it was made for

    def openapi(self, describe: Callable[[], dict], routes: int, root: str = "") -> bytes:
        """The document, as JSON: the app's own description of its routes, completed with what all routes have
        in common and with the card of the model being served. `root`: the path that the app is
        mounted under. Made anew, which takes 20 ms, where one of these is another, or the number of `routes`
        has changed."""
        from apps.service import openapi  # what few ask for costs no start-up anything

        try:
            serving = self._model.serving
        except Problem:
            serving = None
        made_for = routes, root, serving and (serving.card_json, serving.format)
        known, body = self._made
        if known != made_for:
            body = openapi.complete(
                describe(), self._app, VERSION, self._settings, serving, self._requests.routes.listed(), root
            )
            self._made = made_for, body
        return body

    def problem(self, slug: str | None) -> bytes:
        """The page about a problem, or about all. Raises Problem 404 where there is none of that name."""
        if slug is not None and slug not in problems.KINDS:
            raise Problem("not-found", "there is no problem of that name; all of them are at /problems")
        return problems.page(slug, self._settings.book_url).encode()
