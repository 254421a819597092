import pytest
from classroom.servers import Server

MINIMAL = ("fastapi", "flask")


@pytest.fixture(params=MINIMAL)
def server(request: pytest.FixtureRequest, both: dict[str, Server]) -> Server:
    """One after the other."""
    return both[request.param]
