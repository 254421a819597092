"""Servelab: train a model, serve it with FastAPI and with Flask, and learn how.

python kit.py up              set up, train a model if there is none, start everything, open the browser
                              with --access, the servers ask who comes; with --follow, they serve the
                              registry's champion, and the page Models changes it
python kit.py test            set up, then run the whole test suite (about 23 minutes on two cores), or
                              with --quick a minute of it; other arguments go on to pytest
python kit.py train wine      train and export a model, and log how; tiny: the kit's own language model
python kit.py adopt m.pkl     make a model of your own servable
python kit.py check iris      hold a model to what must be true before it is shipped; serves it, too
python kit.py register iris   make a version of the model that was trained or adopted under that name
python kit.py promote iris 2  make a version the champion, which servers follow
python kit.py rollback iris   make the champion before this one champion again
python kit.py challenger iris 3  let a version be tried beside the champion; none: no longer
python kit.py registry        MLflow's pages over all that; registry iris: its versions, here
python kit.py bench           how fast both servers are, against their frameworks' hello-worlds; two minutes
python kit.py lab             JupyterLab alone
python kit.py users add alice    who may use the servers with ACCESS=on; list, disable, passwd, remove
python kit.py keys add alice     an API key; list, revoke; rotate: a new key to sign tokens with
python kit.py secrets         the passwords that docker compose needs, in .env; with --profile, which of its
                              profiles are on
python kit.py classroom       a class on one server, for docker compose: ports and a token for each learner
python kit.py docs            make the book and open it
python kit.py doctor          what is in place, what is not, and what to do about it
"""

import argparse
import contextlib
import errno
import json
import os
import secrets
import signal
import sys
import time
import webbrowser
from pathlib import Path
from typing import NoReturn

from kit import access as guard
from kit import classroom, compose, registry, suite
from kit import environment as setup
from kit.doctor import doctor
from kit.environment import PYTHON, ROOT, VENV, SetupError
from kit.processes import run_through

NAMES = {
    "lab": "JupyterLab",
    "ui": "Streamlit page",
    "fastapi": "FastAPI server",
    "flask": "Flask server",
    "worker": "Worker",
    "book": "Book",
    "registry": "Registry",
}
AT_ONCE = [name for name in NAMES if name != "registry"]  # what `up` starts unless it is told otherwise
MODEL = ROOT / "model.pkl"
TINY = ROOT / "models" / "tiny.onnx"
BOOK = ROOT / "docs" / "_build" / "html" / "index.html"
SHORT_BENCH = [
    "--only",
    "FastAPI hello,FastAPI full,Flask hello,Flask full,typed hello",
    "--rounds",
    "3",
    "--seconds",
    "1",
]


def up(only: list[str], browser: bool, access: bool = False, follow: str | None = None) -> int:
    """Run the servers side by side until Ctrl-C, or until none is left. With `access`, they ask who comes;
    with `follow`, they serve the champion of that model, or of the one trained last where it is empty."""
    started = time.monotonic()
    if "book" in only and not BOOK.exists():
        print("The book is not made yet: python kit.py docs", flush=True)
        only = [name for name in only if name != "book"]
        if not only:
            return 1
    if not {"fastapi", "flask"}.isdisjoint(only) and (code := train_if_none()):
        return code
    sys.path.insert(0, str(ROOT / "notebooks"))
    from classroom.servers import KINDS, Server, ServerError, free_port, log_of, reclaim, stop_all

    def stop_signal(*_) -> None:
        raise KeyboardInterrupt

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):  # which there are depends on the system
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop_signal)
    try:
        for name in reclaim():
            print(f"Stopped a {NAMES.get(name, name)} that a killed session had left behind.")
        ports = {name: free_port(KINDS[name].port) for name in only}
        for name, port in ports.items():
            if port != KINDS[name].port:
                print(f"Port {KINDS[name].port} is taken: the {NAMES[name]} is on {port}.")
        generation = language_model() if not {"fastapi", "flask"}.isdisjoint(ports) else {}
        followed = {} if follow is None else registry.settings(follow)
        env = environment(
            ports, free_port, log_of, (guard.settings() if access else {}) | followed | generation
        )
        silence_lab()
        print(f"Starting {', '.join(NAMES[name] for name in only)} ...", flush=True)
        running = [Server(name, env=env[name], port=port) for name, port in ports.items()]
        for server in list(running):
            try:
                server.wait()
            except ServerError as error:
                print(f"\nNot started: {error}\n", flush=True)
                server.stop()
                running.remove(server)
        if running:
            addresses = {server.name: server.url for server in running}
            if "lab" in addresses:
                addresses["lab"] += f"/lab/tree/notebooks?token={env['lab']['JUPYTER_TOKEN']}"
            print(table(running, addresses, time.monotonic() - started), flush=True)
            if browser:
                open_browser(next(addresses[name] for name in NAMES if name in addresses))
        return watch(running)
    except KeyboardInterrupt:
        return 0
    finally:
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):  # a second Ctrl-C must not leave orphans
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
        stopping = time.monotonic()
        with contextlib.suppress(OSError):  # the terminal may be what has gone
            print("\nStopping ...", flush=True)
        stop_all()
        with contextlib.suppress(OSError):
            print(f"All stopped ({time.monotonic() - stopping:.1f} s).", flush=True)


def language_model() -> dict[str, str]:
    """GENERATION as it is set, or else on, where there is a model that need not be trained first: the servers
    are ready a second later with it, and take 350 MB more each."""
    if os.environ.get("GENERATION"):
        return {}  # the servers read it themselves
    if os.environ.get("SERVER") == "granian":
        print("No language model: the Flask server generates only without SERVER=granian.", flush=True)
        return {}
    if os.environ.get("GENERATION_URL") or setup.state().get("generation") or TINY.exists():
        return {"GENERATION": "on"}
    print("No language model: to have a tiny one, a minute: python kit.py train tiny", flush=True)
    return {}


def environment(ports: dict[str, int], free_port, log_of, more: dict) -> dict[str, dict[str, str]]:
    """What each process is told: where the others are, and its own secrets; and both servers, `more`."""
    urls, metrics, logs = {}, {}, {}
    for name in ("fastapi", "flask"):
        if name in ports:
            metrics[name] = {"METRICS_PORT": str(free_port(ports[name] + 100))}
            urls[f"{name.upper()}_URL"] = f"http://127.0.0.1:{ports[name]}"
            urls[f"{name.upper()}_METRICS_URL"] = f"http://127.0.0.1:{metrics[name]['METRICS_PORT']}/metrics"
            logs[f"{name.upper()}_LOG"] = str(log_of(name, ports[name]))
    model = (
        {"MODEL_PATH": str(Path(os.environ["MODEL_PATH"]).absolute())} if "MODEL_PATH" in os.environ else {}
    )
    # In the environment, and not among the arguments, the token shows neither in `ps` nor in the log.
    lab = {**urls, "JUPYTER_TOKEN": secrets.token_hex(16)}
    book = {"BOOK_URL": f"http://127.0.0.1:{ports['book']}"} if "book" in ports else {}
    jobs = {"JOBS": "on"} if "worker" in ports else {}
    explain = {"EXPLAIN": os.environ.get("EXPLAIN") or "on"}
    shared = {**model, "SERVER_TIMING": "1", **explain, **book, **more, **jobs}
    servers = {name: {**shared, **metrics[name]} for name in metrics}
    return {**servers, "worker": {}, "ui": {**urls, **logs, **book}, "lab": lab, "book": {}, "registry": {}}


def silence_lab() -> None:
    """No question about Jupyter news on the first page, and nothing looked up on the network."""
    settings = VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    silent = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    settings.write_text(json.dumps(silent), encoding="utf-8")


def watch(running: list) -> int:
    """Return when no server is left; whoever ends by itself is reported, and the others go on."""
    while running:
        time.sleep(0.3)
        for server in [server for server in running if not server.alive]:
            running.remove(server)
            code = server.process.returncode
            print(f"\nThe {NAMES[server.name]} ended by itself (exit code {code}). Its log ends with:")
            print(
                f"{server.tail()}\nThe others go on. To start it again: Ctrl-C, then kit.py up.", flush=True
            )
    return 1


def table(running: list, addresses: dict[str, str], seconds: float) -> str:
    rows = [("what", "where", "log")]
    for server in running:
        rows.append((NAMES[server.name], addresses[server.name], str(server.log.relative_to(ROOT))))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["", f"Ready after {seconds:.1f} s. Ctrl-C stops everything.", ""]
    lines += [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]
    for server in running:
        if server.name in ("fastapi", "flask") and (answer := server.get("/health")).status_code != 200:
            reason = answer.json().get("detail", answer.text)
            lines.append(f"\n  {NAMES[server.name]}: {reason}. To train a model: python kit.py train")
    return "\n".join(line.rstrip() for line in lines)


def open_browser(address: str) -> None:
    """Show a page, unless the only browser here is one that would take over this terminal."""
    graphical = (
        sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    with contextlib.suppress(webbrowser.Error, OSError):
        if graphical and webbrowser.open(address):
            return
    print("\n  No browser was found to open: open one of the addresses above in yours.", flush=True)


def train_if_none() -> int:
    if MODEL.exists() or "MODEL_PATH" in os.environ:
        return 0
    print("There is no model yet: training one.", flush=True)
    return run_through([sys.executable, "-m", "model_training.train"])


def train(arguments: list[str]) -> int:
    if arguments[:1] == ["tiny"]:
        return run_through([sys.executable, "-m", "model_training.generator", *arguments[1:]])
    return run_through([sys.executable, "-m", "model_training.registry.tracking", *arguments])


def adopt(arguments: list[str]) -> int:
    return run_through([sys.executable, "-m", "model_training.adopt", *arguments])


def check(arguments: list[str]) -> int:
    sys.path.insert(0, str(ROOT / "notebooks"))
    from kit.check import check

    return check(arguments)


def test(arguments: list[str]) -> int:
    return train_if_none() or suite.test(arguments)


def bench(arguments: list[str]) -> int:
    return run_through([sys.executable, "-m", "benchmarks", *(arguments or SHORT_BENCH)])


def accounts(area: str, arguments: list[str]) -> int:
    return run_through([sys.executable, "-m", "apps.service.access", area, *arguments])


def docs(browser: bool) -> int:
    """Make the book; show it, if it was made."""
    code = run_through([sys.executable, "-m", "docs"])
    if code == 0:
        print(f"The book: {BOOK}", flush=True)
        if browser:
            open_browser(BOOK.as_uri())
    return code


def continue_in_environment() -> None:
    """Go on with this command in the environment's Python, if this is another one."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    command = [str(PYTHON), str(ROOT / "kit.py"), *sys.argv[1:]]
    if os.name == "posix":
        os.execv(command[0], command)
    sys.exit(run_through(command))  # Windows has no exec that keeps the terminal


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(prog="kit.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="command", parser_class=Parser)
    up = commands.add_parser("up", help="start everything")
    up.add_argument("--only", type=some_names, default=AT_ONCE, help=f"a part: some of {','.join(NAMES)}")
    up.add_argument("--access", action="store_true", help="the servers ask who comes, and count how often")
    up.add_argument(
        "--follow",
        nargs="?",
        const="",
        metavar="NAME",
        help="the servers serve the registry's champion of this model, or of the one trained last",
    )
    lab = commands.add_parser("lab", help="JupyterLab alone")
    lab.set_defaults(only=["lab"])
    docs = commands.add_parser("docs", help="make the book and open it")
    pages = commands.add_parser("registry", help="MLflow's pages over the registry of models")
    pages.add_argument("name", nargs="?", help="list the versions of this model here, in place of the pages")
    pages.set_defaults(only=["registry"])
    for command in (up, lab, docs, pages):
        command.add_argument("--no-browser", action="store_true", help="do not open the browser")
    commands.add_parser("test", help="run the tests, or some with --quick; or as pytest", add_help=False)
    commands.add_parser("train", help="train and export a model", add_help=False)
    commands.add_parser("adopt", help="make a model of your own servable", add_help=False)
    commands.add_parser("check", help="hold a model to what must be true of it", add_help=False)
    for name, what in registry.COMMANDS.items():
        commands.add_parser(name, help=what, add_help=False)
    commands.add_parser("bench", help="how fast both servers are; arguments as in benchmarks", add_help=False)
    commands.add_parser("users", help="who may use the servers with ACCESS=on", add_help=False)
    commands.add_parser("keys", help="their API keys, and the keys that sign tokens", add_help=False)
    noted = commands.add_parser("secrets", help="the passwords that docker compose needs")
    noted.add_argument(
        "--profile",
        action="append",
        choices=compose.PROFILES,
        help="what is on from now on, and nothing else; more than once for several",
    )
    noted.add_argument(
        "--no-profile", dest="profile", action="store_const", const=[], help="no profile is on from now on"
    )
    classroom.options(commands.add_parser("classroom", help="a class on one server, for docker compose"))
    commands.add_parser("doctor", help="what is in place and what is not")
    known, rest = parser.parse_known_args(arguments)
    if known.command is None:
        parser.print_help()
        sys.exit(2)
    if known.command in ("test", "train", "adopt", "check", "bench", "users", "keys", *registry.COMMANDS):
        known.arguments = arguments[1:]
    elif rest:
        parser.error(f"unknown argument {rest[0]!r}. See: python kit.py {known.command} --help")
    return known


def some_names(text: str) -> list[str]:
    """The names in "flask,ui", in the order of NAMES. Raises ArgumentTypeError."""
    given = [name.strip() for name in text.split(",")]
    if unknown := [name for name in given if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}: choose some of {','.join(NAMES)}")
    return [name for name in NAMES if name in given]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        sys.exit(f"kit: {message}")


def main() -> int:
    options = parse(sys.argv[1:])
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # lessons import ONNX Runtime too (docs: privacy)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it, each process would compile its libraries again
    try:
        if options.command == "doctor":
            return doctor()
        if options.command == "secrets":
            return compose.write_secrets(options.profile)
        if options.command == "classroom":
            return classroom.classroom(options)
        setup.prepare()
        continue_in_environment()
        if options.command == "registry" and options.name:
            return registry.change("versions", [options.name])
        if options.command == "registry" and (address := registry.server()):
            print(f"The registry is a server's, with pages of its own: {address}", flush=True)
            return 0
        if options.command in ("up", "lab", "registry"):
            access, follow = getattr(options, "access", False), getattr(options, "follow", None)
            return up(options.only, not options.no_browser, access, follow)
        if options.command == "docs":
            return docs(not options.no_browser)
        if options.command in ("users", "keys"):
            return accounts(options.command, options.arguments)
        if options.command in registry.COMMANDS:
            return registry.change(options.command, options.arguments)
        run = {"test": test, "train": train, "adopt": adopt, "check": check, "bench": bench}[options.command]
        return run(options.arguments)
    except SetupError as error:
        sys.exit(f"kit: {error}")
    except KeyboardInterrupt:
        sys.exit("kit: stopped. The same command begins again where this one ended")
    except OSError as error:
        refused = (errno.EROFS, errno.EACCES, errno.EPERM)
        known = {errno.ENOSPC: setup.DISK_FULL, **dict.fromkeys(refused, setup.READ_ONLY)}
        sys.exit(f"kit: {known.get(error.errno, error)}")
