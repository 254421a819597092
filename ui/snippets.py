"""The call that the page makes, as a person would type it. Each is whole: copy it and it runs."""

import json

import streamlit as st

PYTHON = """import {library}

answer = {library}.post(
    "{url}",
    json={body},
    timeout=5,
)
print(answer.status_code, answer.json())"""


def snippets(url: str, body: dict) -> dict[str, tuple[str, str]]:
    """What to copy to POST `body` to `url`, by the tool's name: (code, its language for highlighting)."""
    text = json.dumps(body)
    return {
        "curl": (
            f'curl -X POST "{url}" \\\n  -H "Content-Type: application/json" \\\n  -d \'{text}\'',
            "bash",
        ),
        "PowerShell": (
            f"$body = '{text}'\n"
            f'Invoke-RestMethod -Method Post -Uri "{url}" `\n'
            '  -Body $body -ContentType "application/json"',
            "powershell",
        ),
        "httpx": (PYTHON.format(library="httpx", url=url, body=text), "python"),
        "requests": (PYTHON.format(library="requests", url=url, body=text), "python"),
    }


def show_snippets(url: str, body: dict) -> None:
    """The call for each tool in a tab of its own, with Streamlit's button to copy it."""
    codes = snippets(url, body)
    for tab, (code, language) in zip(st.tabs(list(codes)), codes.values(), strict=True):
        with tab:
            st.code(code, language=language, wrap_lines=True)
