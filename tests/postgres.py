"""A real PostgreSQL of a test's own: a folder, a free port, and nobody else's."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text


class Postgres:
    """Where Debian puts it, or on the PATH. It refuses to run as root, so a root hands it to a user."""

    def __init__(self, folder: Path, programs: Path, address: str) -> None:
        self._folder, self._programs, self.address = folder, programs, address
        self._user = "postgres" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
        with socket.create_server((address, 0)) as free:
            self.port = free.getsockname()[1]
        if self._user:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", folder / "data", "-U", "servelab", "-A", "trust", "--no-sync")
        with (folder / "data" / "pg_hba.conf").open("a") as allowed:
            allowed.write("host all all samenet trust\n")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://servelab@{self.address}:{self.port}/postgres"

    def database(self) -> str:
        """The URL of a new one, which is empty."""
        name = f"d{secrets.token_hex(4)}"
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url.replace("/postgres", f"/{name}")

    def start(self) -> None:
        options = f"-F -p {self.port} -k {self._folder} -c listen_addresses={self.address}"
        log = self._folder / "log"
        self._run("pg_ctl", "start", "-w", "-D", self._folder / "data", "-l", log, "-o", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-m", "immediate", "-D", self._folder / "data")

    def _run(self, program: str, *arguments) -> None:
        command = [self._programs / program, *arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, check=True, cwd=self._folder, user=self._user, timeout=60, **quiet)


@contextmanager
def postgres(address: str = "127.0.0.1") -> Iterator[Postgres]:
    """A running one. Skips the test, by name, where there is none on this machine."""
    pytest.importorskip("psycopg")
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        pytest.skip("missing: PostgreSQL (initdb)")
    folder = Path(tempfile.mkdtemp(prefix="servelab-postgres-"))  # pytest's own are for this user alone
    try:
        server = Postgres(folder, places[-1], address)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
