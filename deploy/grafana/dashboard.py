"""Writes dashboards/servelab.json: python deploy/grafana/dashboard.py

A dashboard is a list of questions; the JSON that Grafana wants of them is long and made here. FastAPI is blue
and Flask vermillion, as everywhere in the kit, and Flask's lines are dashed: never by colour alone."""

import json
from pathlib import Path

FASTAPI, FLASK = "#0072B2", "#D55E00"
WIDTH, HEIGHT = 12, 8

# title, unit, what it tells, query (legend by app unless the fourth says otherwise)
PANELS = [
    (
        "Requests",
        "reqps",
        "Requests answered in a second, health checks included.",
        "app:http_requests:rate1m",
        "{{app}}",
    ),
    (
        "Errors",
        "percentunit",
        "The share of requests answered with 5xx: ours to mend, not the client's.",
        "app:http_errors:ratio1m",
        "{{app}}",
    ),
    (
        "Latency, one in two",
        "s",
        "Half of all requests take no longer than this.",
        "app:http_request_duration_seconds:p50",
        "{{app}}",
    ),
    (
        "Latency, one in a hundred",
        "s",
        "99 of 100 requests take no longer than this.",
        "app:http_request_duration_seconds:p99",
        "{{app}}",
    ),
    (
        "In flight",
        "short",
        "Requests being answered now. At MAX_IN_FLIGHT, more of them get 503.",
        "sum by (app) (http_requests_in_flight)",
        "{{app}}",
    ),
    (
        "Refused for load",
        "reqps",
        "Requests refused because too many were in flight.",
        "sum by (app) (rate(requests_shed_total[1m]))",
        "{{app}}",
    ),
    (
        "Invalid requests, by reason",
        "reqps",
        "A step here after a client's release is the client's mistake: often a unit.",
        "sum by (app, reason) (rate(validation_failures_total[1m]))",
        "{{app}} {{reason}}",
    ),
    (
        "Predictions, by class",
        "short",
        "Rows predicted in a second. A mix that shifts means other users, or another world.",
        "sum by (app, label) (rate(predictions_total[1m]))",
        "{{app}} {{label}}",
    ),
    (
        "Time in the model",
        "s",
        "95 of 100 predictions take no longer than this, waiting for a batch included.",
        "histogram_quantile(0.95, sum by (app, le) (rate(prediction_duration_seconds_bucket[1m])))",
        "{{app}}",
    ),
    (
        "Rows in a request",
        "short",
        "The mean number of rows.",
        "sum by (app) (rate(prediction_batch_rows_sum[1m]))"
        " / sum by (app) (rate(prediction_batch_rows_count[1m]))",
        "{{app}}",
    ),
    (
        "Model loaded",
        "bool_yes_no",
        "1 while there is a model to ask.",
        "max by (app, name, version) (model_loaded)",
        "{{app}} {{name}} {{version}}",
    ),
    ("Age of the model", "s", "Since it was trained.", "app:model_age_seconds", "{{app}}"),
]


def panel(number: int, title: str, unit: str, description: str, query: str, legend: str) -> dict:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "description": description,
        "gridPos": {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "targets": [{"refId": "A", "expr": query, "legendFormat": legend}],
        "fieldConfig": {
            "defaults": {"unit": unit, "min": 0, "custom": {"lineWidth": 2, "fillOpacity": 0}},
            "overrides": [lines_of("fastapi", FASTAPI, "solid"), lines_of("flask", FLASK, "dash")],
        },
        "options": {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
        },
    }


def lines_of(app: str, color: str, style: str) -> dict:
    dash = {"fill": style, "dash": [8, 6]} if style == "dash" else {"fill": style}
    return {
        "matcher": {"id": "byRegexp", "options": f"^{app}.*"},
        "properties": [
            {"id": "color", "value": {"mode": "fixed", "fixedColor": color}},
            {"id": "custom.lineStyle", "value": dash},
        ],
    }


def dashboard() -> dict:
    return {
        "uid": "servelab",
        "title": "Servelab: two servers, side by side",
        "schemaVersion": 41,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "panels": [panel(number, *questions) for number, questions in enumerate(PANELS)],
    }


def text() -> str:
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("dashboards").joinpath("servelab.json").write_text(text(), encoding="utf-8")
