"""A RabbitMQ of a test's own: on this machine only, in a folder and with a node name of its own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import amqp
import pytest
from classroom.servers import free_port

from tests.waiting import PATIENCE

SBIN = sorted(Path("/usr/lib/rabbitmq").glob("**/sbin/rabbitmq-server")) or [
    Path(shutil.which("rabbitmq-server") or "")
]
missing = pytest.mark.skipif(
    not (shutil.which("epmd") and SBIN[-1].is_file()) or os.name != "posix", reason="needs rabbitmq-server"
)


class RabbitMQ:
    """Can be killed, silenced, and started again at the same port with what it had."""

    def __init__(
        self, folder: Path, consumer_timeout: int = 1_800_000, address: str = "127.0.0.1", config: str = "[]."
    ) -> None:
        """`consumer_timeout`: milliseconds after which a message that nobody confirms goes to another.
        `config`: an advanced.config."""
        self.address, self.port, self._folder = address, free_port(), folder
        self._password = secrets.token_hex(16)
        epmd, distribution = free_port(), free_port()
        self.url = f"amqp://servelab:{self._password}@{address}:{self.port}//"
        (folder / "home").mkdir()
        cookie = folder / "home" / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (folder / "plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = {address}:{self.port}\n"
            f"default_user = servelab\ndefault_pass = {self._password}\n"
            "disk_free_limit.absolute = 50MB\nlog.console = false\n"
        )
        (folder / "advanced.config").write_text(config + "\n")
        self._env = {
            **os.environ,
            "HOME": str(folder / "home"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            "RABBITMQ_NODENAME": f"servelab{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none"
            " -kernel inet_dist_use_interface {127,0,0,1}"
            f" -rabbit consumer_timeout {consumer_timeout} -rabbit channel_tick_interval 500",
        }
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._epmd = subprocess.Popen(
            ["epmd", "-address", "127.0.0.1", "-port", str(epmd)], env=self._env, **quiet
        )
        self.start()

    def start(self) -> None:
        with (self._folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [str(SBIN[-1])], env=self._env, stdout=out, stderr=out, start_new_session=True
            )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with self.connection(connect_timeout=2, read_timeout=5):
                    return
            except (OSError, amqp.AMQPError):
                told = (self._folder / "out").read_text()[-500:]
                assert time.monotonic() < end and self._process.poll() is None, told
                time.sleep(0.1)

    def kill(self) -> None:
        """As with kill -9, all that it has started with it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def silence(self) -> None:
        """Connections are taken, and nobody answers."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def connection(self, **timeouts: float) -> amqp.Connection:
        who = {"userid": "servelab", "password": self._password}
        # Of itself, amqp gives up a broker that reads nothing for a second, as a busy one may (tcp(7)).
        patient = {socket.TCP_USER_TIMEOUT: PATIENCE * 1000} if hasattr(socket, "TCP_USER_TIMEOUT") else {}
        return amqp.Connection(f"{self.address}:{self.port}", socket_settings=patient, **who, **timeouts)

    def count(self, queue: str) -> int:
        """Messages that are ready in a queue."""
        with self.connection() as connection:
            return connection.channel().queue_declare(queue, passive=True).message_count

    def stop(self) -> None:
        self.kill()
        self._epmd.kill()
        self._epmd.wait()


@contextmanager
def rabbitmq(folder: Path, **options: int) -> Iterator[RabbitMQ]:
    server = RabbitMQ(folder, **options)
    try:
        yield server
    finally:
        server.stop()


def port_is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
