"""Several processes behind one port: a supervisor starts them, another for each that ends, and stops them.

Each worker is the same strict server, on the listening sockets that the supervisor hands to it. It stops when
its pipe to the supervisor ends, which it does also when the supervisor is killed, so that nobody is left
behind. The supervisor answers nothing itself, and imports nothing of the service: 15 MB."""

import gc
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path

BACKLOG = 2048
LOOK_SECONDS = 0.2  # until a signal is noticed
YOUNG_SECONDS = 20  # whoever ends by a fault before this has not started
LAST_WORD_SECONDS = 0.3  # in which a server that stops answers what was on its way on kept connections
SPARE_SECONDS = 5  # beyond what stopping may take, until a worker is killed
PREFIX = "servelab-metrics-"  # of a supervisor's folder; then come its process id and what makes it unique
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where the counts of all come together
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)]

_handed_over: tuple | None = None  # in a worker: by its supervisor


def listen(service) -> socket.socket:
    """The socket to serve on; with WORKERS above 1, only workers return. Ends the process with one line where
    the address is not to be had."""
    settings, service.model.on_loaded = service.settings, settle
    if _handed_over:
        lifeline, (listener, *exporter), code = _handed_over
        service.exporter_listener = exporter[0] if exporter else None
        if code is not None:
            service.log.warning("a worker ended by itself, this one takes its place", exit_code=code)
        threading.Thread(target=stop_at_end_of, args=(lifeline,), name="lifeline", daemon=True).start()
        return listener
    listener = listen_once(service)
    if settings.workers == 1:
        return listener
    listeners = [listener]
    if settings.exporter_port:
        with suppress(OSError):  # the workers will try again, and say so
            listeners.append(socket.create_server((settings.metrics_host, settings.exporter_port)))
    door, patience = f"apps.{service.app}", settings.drain_seconds + settings.grace_seconds + SPARE_SECONDS
    if os.name != "posix":
        sys.exit(supervise(door, settings.workers, patience, listeners))
    for one in listeners:  # go on in a new interpreter, without all that this one has imported
        one.set_inheritable(True)
    numbers = [str(number) for number in (settings.workers, patience, *(one.fileno() for one in listeners))]
    os.execv(sys.executable, [sys.executable, "-m", "apps.servers.workers", door, *numbers])


def listen_once(service) -> socket.socket:
    """A socket that listens at HOST and PORT. Ends the process with one line where it cannot."""
    settings = service.settings
    try:
        return socket.create_server((settings.host, settings.port), backlog=BACKLOG)
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]  # attempting to bind on address …
        sys.exit(
            f"{service.app}: cannot listen on {settings.host}:{settings.port} ({why}): "
            "stop what listens there, or set PORT"
        )


def settle() -> None:
    """Keep what there is now out of the collections of garbage: it is there to stay, and to walk through it
    takes 40 ms, in which nobody is answered."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def stop_at_end_of(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    if hasattr(signal, "pthread_kill"):  # a main thread that waits for a lock hears only its own signals
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
    else:
        signal.raise_signal(signal.SIGTERM)


def is_for_supervisor(number: int) -> bool:
    """Whether a worker is to leave a signal alone: Ctrl-C and Ctrl-Break reach every process of a terminal,
    and the supervisor tells its workers."""
    return _handed_over is not None and number != signal.SIGTERM


def work(door: str, *handed_over) -> None:
    """The life of a worker."""
    global _handed_over
    for number in SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)  # until its server listens to signals
    _handed_over = handed_over
    import_module(door).main()


def supervise(door: str, count: int, patience: float, listeners: list[socket.socket]) -> str | int:
    """Until asked to stop. What to exit with: 0, or a line that says what went wrong."""
    asked: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda number, _: asked.append(number))
    context = multiprocessing.get_context("spawn")
    workers: dict[multiprocessing.Process, tuple[Connection, float]] = {}
    codes: list[int | None] = [None] * count  # how those ended for whom another is to be started
    faults = 0  # workers, one after the other, that ended before they had started

    def look() -> None:
        nonlocal faults
        wait([worker.sentinel for worker in workers], LOOK_SECONDS)
        for worker in [worker for worker in workers if not worker.is_alive()]:
            lifeline, begun = workers.pop(worker)
            lifeline.close()
            for values in Path(folder).glob(f"gauge_live*_{worker.pid}.db"):
                with suppress(OSError):  # somebody on Windows is reading it
                    values.unlink()
            codes.append(worker.exitcode)
            young = time.monotonic() - begun < YOUNG_SECONDS
            faults = faults + 1 if worker.exitcode and young else 0

    with metrics_folder() as folder:
        while not asked and faults <= 2 * count:
            for code in codes:
                theirs, ours = context.Pipe(duplex=False)
                worker = context.Process(target=work, args=(door, theirs, listeners, code))
                worker.start()
                theirs.close()
                workers[worker] = ours, time.monotonic()
            codes.clear()
            look()
        for one in listeners:
            one.close()
        for lifeline, _ in workers.values():
            lifeline.close()
        end = time.monotonic() + patience
        while workers and time.monotonic() < end:
            if len(asked) > 1:
                end = min(end, time.monotonic() + SPARE_SECONDS)
                for worker in workers:
                    worker.terminate()
            look()
        for worker in workers:
            worker.kill()
    if asked:
        return 0
    return f"{door.rpartition('.')[2]}: its workers end as soon as they start (exit code {codes[-1]})"


@contextmanager
def metrics_folder() -> Iterator[str]:
    """Where the counts of several workers come together, as long as they live."""
    clear_left_behind()
    os.environ[FOLDER] = folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_left_behind() -> None:
    """Remove the folders of supervisors that were killed, once no worker of theirs lives either."""
    if os.name != "posix":  # elsewhere one may not ask whether a process lives
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        names = [folder.name.removeprefix(PREFIX).partition("-")[0]]
        names += [path.stem.rpartition("_")[2] for path in folder.glob("*.db")]
        if not any(lives(int(name)) for name in names if name.isdigit()):
            shutil.rmtree(folder, ignore_errors=True)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def main() -> None:
    door, count, patience, *numbers = sys.argv[1:]
    listeners = [socket.socket(fileno=int(number)) for number in numbers]
    sys.exit(supervise(door, int(count), float(patience), listeners))


if __name__ == "__main__":
    from apps.servers import workers  # by the name under which a worker finds it

    workers.main()
