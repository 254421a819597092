"""WSGI with no framework: what the server itself costs."""


def app(environ, start_response) -> list[bytes]:
    body = b'{"hello":"world"}'
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
