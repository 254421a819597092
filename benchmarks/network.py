"""Hosts on one machine: Linux's network namespaces, each with an address on one bridge (ip-netns(8)).

What is in a namespace reaches the others on its bridge and nothing else. A host that is cut off is like one
whose cable was pulled: packets go nowhere, and nobody is told."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

PREFIX = "servelab"
NAMESPACES = Path("/run/netns")
SUBNET = "192.0.2."  # RFC 5737: addresses that no network has
CLONE_NEWNET = 0x40000000  # setns(2)
MOST = 200


class NetworkError(OSError):
    """This machine has no such hosts; the message says what it lacks."""


class Host:
    def __init__(self, network: str, number: int) -> None:
        self.name, self.hub = f"{network}-{number}", f"{network}-0"
        self.address, self._cable = f"{SUBNET}{number + 1}", f"cable{number}"

    def plug_in(self) -> None:
        """Make it, with a cable to the hub's bridge."""
        ip("netns", "add", self.name)
        ip("-n", self.hub, "link", "add", self._cable, "type", "veth", "peer", "eth0", "netns", self.name)
        ip("-n", self.hub, "link", "set", self._cable, "master", "bridge", "up")
        ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            ip("-n", self.name, "link", "set", device, "up")

    def command(self, *command: str) -> list[str]:
        """The same, run there."""
        return ["ip", "netns", "exec", self.name, *command]

    def pids(self) -> list[int]:
        return pids(self.name)

    def die(self) -> None:
        """As where the power goes: all that runs there is gone at once."""
        kill(self.name)

    def cut(self) -> None:
        ip("-n", self.hub, "link", "set", self._cable, "down")

    def reconnect(self) -> None:
        ip("-n", self.hub, "link", "set", self._cable, "up")


class Network:
    """Hosts around a hub, for a `with` block, at whose end all that runs there is killed and all is removed;
    what a process left that was killed itself, the next one removes."""

    def __init__(self, hosts: int) -> None:
        """Raises NetworkError."""
        check(hosts)
        name = f"{PREFIX}-{os.getpid()}"
        self.hub, self.address = f"{name}-0", f"{SUBNET}1"
        self.hosts = [Host(name, number) for number in range(1, hosts + 1)]

    def __enter__(self) -> "Network":
        """Raises NetworkError."""
        for name in left_behind():
            remove(name)
        try:
            ip("netns", "add", self.hub)
            ip("-n", self.hub, "link", "add", "bridge", "type", "bridge")
            ip("-n", self.hub, "address", "add", f"{self.address}/24", "dev", "bridge")
            for device in ("bridge", "lo"):
                ip("-n", self.hub, "link", "set", device, "up")
            for host in self.hosts:
                host.plug_in()
        except NetworkError:
            self.__exit__()
            raise
        return self

    def enter(self) -> None:
        """From now on this thread, with what it starts, is on the hub."""
        with (NAMESPACES / self.hub).open("rb") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise NetworkError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def __exit__(self, *_) -> None:
        for name in (*(host.name for host in self.hosts), self.hub):
            with suppress(NetworkError):  # it was not made
                remove(name)


def check(hosts: int) -> None:
    """Raises NetworkError, and ValueError for too many hosts."""
    if not 1 <= hosts <= MOST:
        raise ValueError(f"expected 1 to {MOST} hosts, got {hosts}")
    if not sys.platform.startswith("linux"):
        raise NetworkError("expected Linux, which has network namespaces")
    if not shutil.which("ip"):
        raise NetworkError("expected the command ip: on Debian, apt install iproute2")
    if os.geteuid() != 0:
        raise NetworkError("expected root, who may make network namespaces: run it with sudo")


def ip(*arguments: str) -> str:
    """What iproute2 says. Raises NetworkError with its words."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise NetworkError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def left_behind() -> list[str]:
    """The namespaces of processes that have gone."""
    found = [path.name for path in NAMESPACES.glob(f"{PREFIX}-*-*")]
    return [name for name in found if not Path("/proc", name.split("-")[1]).exists()]


def pids(name: str) -> list[int]:
    """Of what runs in a namespace, this process excepted. Raises NetworkError."""
    return [pid for pid in map(int, ip("netns", "pids", name).split()) if pid != os.getpid()]


def kill(name: str) -> None:
    for pid in pids(name):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def remove(name: str) -> None:
    """A namespace, and whatever runs in it but this process. Raises NetworkError."""
    kill(name)
    ip("netns", "delete", name)
