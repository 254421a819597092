"""The call that the page makes, as a person would type it. Each is whole: copy it and it runs."""

import json

import streamlit as st

from ui import sign_in
from ui.servers import Server

# What says who asks: its header, its scheme, and the environment variable in which a person has it.
HEADERS = {
    "token": ("Authorization", "Bearer ", "SERVELAB_TOKEN"),
    "key": ("X-API-Key", "", "SERVELAB_KEY"),
}
PYTHON = """{imports}import {library}

answer = {library}.post(
    "{url}",
    json={body},
{headers}    timeout={seconds},
)
print(answer.status_code, answer.json())"""

JOB_SHELL = """curl -X POST "{url}/jobs" -H "Content-Type: text/csv"{curl} --data-binary @rows.csv
# it answers with the job and its id; how far it is, and then its answers:
curl{curl} "{url}/jobs/ID"
curl{curl} -o predictions.csv "{url}/jobs/ID/result.csv"
"""
JOB_PYTHON = """{imports}import time

import httpx

with httpx.Client(base_url="{url}"{headers}, timeout=60) as client, open("rows.csv", "rb") as file:
    job = client.post("/jobs", content=file, headers={{"Content-Type": "text/csv"}}).raise_for_status().json()
    while job["state"] in ("queued", "running"):
        time.sleep(1)
        job = client.get(f"/jobs/{{job['id']}}").raise_for_status().json()
    with client.stream("GET", f"/jobs/{{job['id']}}/result.csv") as answer:
        with open("predictions.csv", "wb") as predictions:
            for piece in answer.raise_for_status().iter_bytes():
                predictions.write(piece)"""


def snippets(url: str, body: dict, means: str = "", seconds: int = 5) -> dict[str, tuple[str, str]]:
    """What to copy to POST `body` to `url`, by the tool's name: (code, its language for highlighting).
    `means`: "token" or "key" where the call has to say who asks; it is read from the environment then."""
    text = json.dumps(body).replace("'", "\\u0027")  # the same JSON, which no quote of a shell ends
    name, scheme, variable = HEADERS.get(means, ("", "", ""))
    curl = f'  -H "{name}: {scheme}${variable}" \\\n' if means else ""
    shell = f' `\n  -Headers @{{ "{name}" = "{scheme}$env:{variable}" }}' if means else ""
    imports = "import os\n\n" if means else ""
    python = f'    headers={{"{name}": "{scheme}" + os.environ["{variable}"]}},\n' if means else ""
    literal = repr(body) if "null" in text else text  # what JSON calls null, Python calls None
    code = {"url": url, "body": literal, "imports": imports, "headers": python, "seconds": seconds}
    return {
        "curl": (
            f'curl -X POST "{url}" \\\n  -H "Content-Type: application/json" \\\n{curl}  -d \'{text}\'',
            "bash",
        ),
        "PowerShell": (
            f"$body = '{text}'\n"
            f'Invoke-RestMethod -Method Post -Uri "{url}" `\n'
            '  -Body $body -ContentType "application/json"' + shell,
            "powershell",
        ),
        "httpx": (PYTHON.format(library="httpx", **code), "python"),
        "requests": (PYTHON.format(library="requests", **code), "python"),
    }


def job_snippets(url: str, means: str = "") -> dict[str, tuple[str, str]]:
    """What to copy to have the rows of a file predicted as a job, as in `snippets`."""
    name, scheme, variable = HEADERS.get(means, ("", "", ""))
    curl = f' -H "{name}: {scheme}${variable}"' if means else ""
    headers = f', headers={{"{name}": "{scheme}" + os.environ["{variable}"]}}' if means else ""
    imports = "import os\n" if means else ""
    return {
        "curl": (JOB_SHELL.format(url=url, curl=curl).rstrip(), "bash"),
        "httpx": (JOB_PYTHON.format(url=url, headers=headers, imports=imports), "python"),
    }


def show_job_snippets(server: Server) -> None:
    means = sign_in.current().means(server)
    _tabs(job_snippets(server.url, means))


def show_snippets(server: Server, path: str, body: dict, seconds: int = 5) -> None:
    """The call for each tool in a tab of its own, with Streamlit's button to copy it."""
    means = sign_in.current().means(server)
    codes = snippets(server.url + path, body, means, seconds)
    if means:
        what = "an access token, which is good for minutes" if means == "token" else "your API key"
        st.caption(f"Set the environment variable {HEADERS[means][2]} first. It stands for {what}.")
    _tabs(codes)


def _tabs(codes: dict[str, tuple[str, str]]) -> None:
    for tab, (code, language) in zip(st.tabs(list(codes)), codes.values(), strict=True):
        with tab:
            st.code(code, language=language, wrap_lines=True)
