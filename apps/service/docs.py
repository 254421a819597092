"""The page at /docs: Swagger UI from the package flask-swagger-ui, of which only the files are used.

It loads nothing from outside, which its content security policy forbids it as well.
Imported when somebody asks for it. https://github.com/swagger-api/swagger-ui"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from apps.service.problems import Problem

PACKAGE = "flask_swagger_ui"  # found and not imported: that would import Flask
FILES = {  # all there are; the page's own two are below, the rest are the package's
    "index.html": "text/html",
    "start.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
OURS = {
    "index.html": """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self'; connect-src 'self';
 img-src 'self' data:; style-src 'self' 'unsafe-inline'">
<title>The API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
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
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
""",
    "start.js": """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
})
""",
}


@cache
def read(file: str) -> tuple[bytes, str]:
    """A file of the page, and its media type. Raises Problem 404 for one that is not of it."""
    if file not in FILES:
        raise Problem("not-found", f"expected a file among {', '.join(FILES)}")
    if file in OURS:
        return OURS[file].encode(), FILES[file]
    spec = find_spec(PACKAGE)
    if spec is None:
        raise Problem("not-found", "the page's files are not installed here: pip install flask-swagger-ui")
    return (Path(spec.origin).parent / "dist" / file).read_bytes(), FILES[file]
