"""Every route of both servers: its template, which is how logs and metrics name it, and its methods."""

READ = ("GET", "HEAD")
WRITE = ("POST",)

ROUTES = {
    "/predict": WRITE,
    "/predict/batch": WRITE,
    "/model": READ,
    "/models": READ,
    "/health": READ,
    "/health/live": READ,
    "/health/ready": READ,
    "/v2": READ,
    "/v2/health/live": READ,
    "/v2/health/ready": READ,
    "/v2/models/{name}": READ,
    "/v2/models/{name}/ready": READ,
    "/v2/models/{name}/infer": WRITE,
    "/v2/models/{name}/versions/{version}": READ,
    "/v2/models/{name}/versions/{version}/ready": READ,
    "/v2/models/{name}/versions/{version}/infer": WRITE,
    "/openapi.json": READ,
    "/docs": READ,
    "/docs/{file}": READ,
    "/problems": READ,
    "/problems/{slug}": READ,
}
OTHER = "other"  # a path that matches none: one name for all of them, however many a client thinks up

_FIXED = {template for template in ROUTES if "{" not in template}
_PATTERNS = [template.split("/") for template in ROUTES if "{" in template]


def template_of(path: str) -> str:
    """The route that a path belongs to, or OTHER."""
    if path in _FIXED:
        return path
    parts = path.split("/")
    for pattern in _PATTERNS:
        if len(pattern) == len(parts) and all(
            part if want[:1] == "{" else part == want for want, part in zip(pattern, parts, strict=True)
        ):
            return "/".join(pattern)
    return OTHER


def allow(route: str) -> str:
    """The header Allow for a route of the table."""
    return ", ".join(ROUTES[route])
