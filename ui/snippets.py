"""The call that the page makes, as a person would type it. Each is whole: copy it and it runs."""

import json

from ui.client import predict_path
from ui.servers import Server


def snippets(server: Server, features: list[float]) -> dict[str, tuple[str, str]]:
    """What to copy, by the name of the tool: (code, its language for highlighting)."""
    url = server.url + predict_path()
    values = json.dumps(features)
    return {
        "curl": (
            f'curl -X POST "{url}" \\\n'
            '  -H "Content-Type: application/json" \\\n'
            f"  -d '{{\"features\": {values}}}'",
            "bash",
        ),
        "PowerShell": (
            f"$body = @{{ features = @({values[1:-1]}) }} | ConvertTo-Json\n"
            f'Invoke-RestMethod -Method Post -Uri "{url}" `\n'
            '  -Body $body -ContentType "application/json"',
            "powershell",
        ),
        "httpx": (_python("httpx", url, values), "python"),
        "requests": (_python("requests", url, values), "python"),
    }


def _python(library: str, url: str, values: str) -> str:
    return (
        f"import {library}\n\n"
        f"answer = {library}.post(\n"
        f'    "{url}",\n'
        f'    json={{"features": {values}}},\n'
        "    timeout=5,\n"
        ")\n"
        "print(answer.status_code, answer.json())"
    )
