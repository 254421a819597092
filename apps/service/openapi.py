"""The OpenAPI document of both servers. (In the making.)"""


def document(service) -> bytes:
    return b"{}"


def docs(file: str) -> tuple[bytes, str]:
    return b"", "text/html"
