"""A page that lists who of a class is up: asks every program of every learner, and shows what it says.

    python who_is_up.py class.json

Standard library only. It listens at port 8000, and knows no tokens."""

import html
import json
import os
import re
import signal
import sys
import threading
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

EVERY, PATIENCE = 10, 5  # seconds
DIRECT = build_opener(ProxyHandler({}))
UP, STARTING, DOWN = "up", "starting", "down"

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Who is up</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif; }}
body {{ max-width: 52rem; margin: 0 auto; padding: 1rem; }}
h1 {{ font-size: 1.4rem; margin: 0; }}
p {{ margin: .3rem 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .45rem .4rem; border-bottom: 1px solid #8886; }}
a {{ color: inherit; }}
td.starting, td.down {{ font-weight: 600; }}
td.starting {{ background: light-dark(#fff3c4, #4d3d00); }}
td.down {{ background: light-dark(#ffd9d6, #5c1a16); }}
@media (max-width: 30rem) {{ th, td {{ padding: .6rem .2rem; font-size: .85rem; }} }}
</style>
</head>
<body>
<main data-every="{every}">
<h1>Who is up</h1>
<p id="summary" role="status">{summary}</p>
<table>
<thead><tr><th scope="col">Learner</th>{columns}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
<p id="asked">Asked at {asked}, and again every {every} seconds.</p>
</main>
<script>{script}</script>
</body>
</html>
"""

# What has changed is put in its place: a page that is loaded anew forgets where its reader was.
SCRIPT = """
setInterval(async () => {
  const summary = document.getElementById("summary");
  try {
    const answer = await (await fetch("/")).text();
    const page = new DOMParser().parseFromString(answer, "text/html");
    for (const part of ["#summary", "tbody", "#asked"]) {
      const [shown, now] = [document, page].map(one => one.querySelector(part));
      if (shown.innerHTML !== now.innerHTML) shown.innerHTML = now.innerHTML;
    }
  } catch {
    summary.textContent = "This page's server does not answer.";
  }
}, document.querySelector("main").dataset.every * 1000)
"""
DIGEST = b64encode(sha256(SCRIPT.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{DIGEST}'; connect-src 'self'"


class Class:
    """What was found when everybody was asked last."""

    def __init__(self, learners: list[dict]) -> None:
        self.learners, self.states, self.asked = learners, {}, "no time yet"
        self.parts = [part for learner in learners for part in learner["parts"]]

    def ask(self) -> None:
        with ThreadPoolExecutor(32) as pool:
            found = list(pool.map(state, (part["ask"] for part in self.parts)))
        self.states = {part["ask"]: one for part, one in zip(self.parts, found, strict=True)}
        self.asked = time.strftime("%H:%M:%S")

    def ask_for_ever(self) -> None:
        while True:
            self.ask()
            time.sleep(EVERY)

    def page(self, host: str) -> str:
        """`host`: what the browser calls this machine."""
        columns = [part["name"] for part in self.learners[0]["parts"]]
        whole = sum(all(self.state(part) == UP for part in one["parts"]) for one in self.learners)
        rows = [
            f'<tr><th scope="row">{html.escape(one["learner"])}</th>'
            + "".join(self.cell(part, host) for part in one["parts"])
            + "</tr>"
            for one in self.learners
        ]
        return PAGE.format(
            every=EVERY,
            summary=f"{whole} of {len(self.learners)} have all that they need.",
            columns="".join(f'<th scope="col">{html.escape(name)}</th>' for name in columns),
            rows="\n".join(rows),
            asked=self.asked,
            script=SCRIPT,
        )

    def state(self, part: dict) -> str:
        return self.states.get(part["ask"], STARTING)

    def cell(self, part: dict, host: str) -> str:
        now = self.state(part)
        shown = f'<a href="http://{html.escape(host)}:{part["port"]}/">{now}</a>' if now == UP else now
        return f'<td class="{now}">{shown}</td>'


def state(address: str) -> str:
    """What answers there with 200 is up; with anything else, it has not finished to start."""
    try:
        with DIRECT.open(address, timeout=PATIENCE):
            return UP
    except HTTPError:
        return STARTING
    except (OSError, ValueError):
        return DOWN


def serve(given: Class, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE  # for a client that says nothing

        def do_GET(self) -> None:
            host = re.match(r"\[[0-9a-f:]+\]|[\w.-]+", self.headers.get("Host", ""))
            known = {"/": "text/html; charset=utf-8", "/health": "text/plain"}.get(self.path)
            body = (
                given.page(host[0] if host else "127.0.0.1")
                if self.path == "/"
                else "ok"
                if known
                else "no page"
            )
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", known or "text/plain")
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_) -> None:
            pass

    return ThreadingHTTPServer(("0.0.0.0", port), Handler)


def main(file: str, port: int = 8000) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    given = Class(json.loads(Path(file).read_text(encoding="utf-8")))
    threading.Thread(target=given.ask_for_ever, daemon=True).start()
    serve(given, port).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
