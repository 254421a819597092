"""`python -m tests.fork_server MODULE FD IMPORT …`: what `forked.py` talks to, through the socket FD.

It imports MODULE and what else that will want, and is then forked for each process that is to run it: as
`python -m MODULE` would, without the half second of imports.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys

MESSAGE = 2**20  # bytes; the largest is an environment


def become(module: str, wanted: dict, log: int) -> None:
    """Run the module as the main one, in a process that has just been forked."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.argv[1:] = wanted["arguments"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as in `classroom.processes.spawn`
    module, connection = sys.argv[1], socket.socket(fileno=int(sys.argv[2]))
    for name in (module, *sys.argv[3:]):
        importlib.import_module(name)
    if not hasattr(sys.modules[module], "__path__"):  # it, and not its `__main__`, is to be run
        del sys.modules[module]
    gc.freeze()
    children: set[int] = set()
    while True:
        message, files, _, _ = socket.recv_fds(connection, MESSAGE, 1)
        if not message:  # whoever wanted them has gone
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            return
        wanted = json.loads(message)
        if "pid" in wanted:
            pid, status = os.waitpid(wanted["pid"], os.WNOHANG)
            if pid:
                children.remove(pid)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif pid := os.fork():
            children.add(pid)
            os.close(files[0])
            answer = pid
        else:
            connection.close()
            return become(module, wanted, files[0])
        connection.send(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
