"""Writes dashboards/*.json: python deploy/grafana/dashboard.py

A dashboard is a list of questions; the JSON that Grafana wants of them is long and made here. FastAPI is blue
and Flask vermillion, as everywhere in the kit, and Flask's lines are dashed: never by colour alone."""

import json
from pathlib import Path

FASTAPI, FLASK = "#0072B2", "#D55E00"
WIDTH, HEIGHT = 12, 8

# title, unit, what it tells, query (legend by app unless the fourth says otherwise)
SERVERS = [
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
GENERATION = [
    (
        "Tokens",
        "short",
        "Tokens in a second: of prompts, of those the ones that were in the cache, and generated.",
        "sum by (app, kind) (rate(generation_tokens_total[1m]))",
        "{{app}} {{kind}}",
    ),
    (
        "Texts, by how they ended",
        "short",
        "In a second. `length` met max_tokens, `cancelled` lost its client, `content_filter` broke a rule.",
        "sum by (app, ended) (rate(generation_texts_total[1m]))",
        "{{app}} {{ended}}",
    ),
    (
        "Time to the first token",
        "s",
        "19 of 20 requests see their first token after this time, waiting for a slot included.",
        "app:generation_first_token_seconds:p95",
        "{{app}}",
    ),
    (
        "Time for a token",
        "s",
        "Half of all texts are written with no more than this between two tokens.",
        "histogram_quantile(0.5, sum by (app, le) (rate(generation_token_seconds_bucket[1m])))",
        "{{app}}",
    ),
    (
        "Waiting for a slot",
        "s",
        "19 of 20 texts wait no longer than this.",
        "histogram_quantile(0.95, sum by (app, le) (rate(generation_queue_seconds_bucket[1m])))",
        "{{app}}",
    ),
    (
        "Slots in use",
        "percentunit",
        "The share of slots that generate. At 100 % texts wait.",
        "sum by (app) (generation_running) / sum by (app) (generation_slots)",
        "{{app}}",
    ),
    (
        "Texts that wait",
        "short",
        "At GENERATION_QUEUE, more of them get 503.",
        "sum by (app) (generation_waiting)",
        "{{app}}",
    ),
    (
        "Refused for their limits",
        "reqps",
        "429 in a second, by the limit that was met.",
        'sum by (app, reason) (rate(requests_limited_total{class="generate"}[1m]))',
        "{{app}} {{reason}}",
    ),
    (
        "Prompts from the cache",
        "percentunit",
        "The share of prompts' tokens that had not to be computed.",
        'sum by (app) (rate(generation_tokens_total{kind="cached"}[5m]))'
        ' / (sum by (app) (rate(generation_tokens_total{kind="prompt"}[5m])) > 0)',
        "{{app}}",
    ),
    (
        "Cost of an hour",
        "short",
        "What the tokens of the last hour cost, by GENERATION_PRICES.",
        "sum by (app, model, currency) (increase(generation_cost_total[1h]))",
        "{{app}} {{model}} {{currency}}",
    ),
    (
        "Memory of the model",
        "bytes",
        "What it took when a process loaded it.",
        "max by (app, model) (generation_model_bytes)",
        "{{app}} {{model}}",
    ),
    (
        "Use of the GPU",
        "percentunit",
        "Where there is one, and NVIDIA's dcgm-exporter tells of it.",
        "max by (gpu) (DCGM_FI_DEV_GPU_UTIL) / 100",
        "GPU {{gpu}}",
    ),
    (
        "Memory of the GPU",
        "decmbytes",
        "Where there is one, and NVIDIA's dcgm-exporter tells of it.",
        "max by (gpu) (DCGM_FI_DEV_FB_USED)",
        "GPU {{gpu}}",
    ),
    (
        "Usage is written",
        "bool_yes_no",
        "0 while the database is away, and usage waits for it in memory.",
        "min by (app) (generation_usage_kept)",
        "{{app}}",
    ),
]
MODELS = [
    (
        "Answers, by model",
        "reqps",
        "Predictions in a second, of the active model and of the challenger in a canary.",
        "sum by (app, role) (rate(rollout_requests_total[1m]))",
        "{{app}} {{role}}",
    ),
    (
        "Failed, by model",
        "percentunit",
        "The share of its requests that a model failed at, or was too slow for.",
        "app_role:rollout_failures:ratio5m",
        "{{app}} {{role}}",
    ),
    (
        "Time in the model",
        "s",
        "95 of 100 predictions take no longer than this, by who answered.",
        "histogram_quantile(0.95, sum by (app, role, le) (rate(rollout_prediction_seconds_bucket[1m])))",
        "{{app}} {{role}}",
    ),
    (
        "Rows in the shadow",
        "short",
        "Rows a second that the challenger was asked too: agree, differ, failed, or dropped (no time).",
        "sum by (app, result) (rate(shadow_comparisons_total[1m]))",
        "{{app}} {{result}}",
    ),
    (
        "Answered otherwise",
        "percentunit",
        "Of the rows that were compared, those that active model and challenger answer differently.",
        "app:shadow_disagreement:ratio5m",
        "{{app}}",
    ),
    (
        "Predictions, by version",
        "short",
        "Rows predicted in a second. A swap is where one line takes over from another.",
        "sum by (app, model, version) (rate(predictions_total[1m]))",
        "{{app}} {{model}} {{version}}",
    ),
    (
        "Swaps",
        "short",
        "Models put in place of another in five minutes, and those that were refused; each worker counts.",
        "sum by (app, result) (increase(model_swaps_total[5m]))",
        "{{app}} {{result}}",
    ),
    (
        "Which model is loaded",
        "bool_yes_no",
        "1 for the versions that every worker has in memory.",
        "max by (app, name, version) (model_loaded)",
        "{{app}} {{name}} {{version}}",
    ),
]
MONITOR = [
    (
        "Drift of each feature (PSI)",
        "short",
        "Of the last hour, against the training data. Below 0.1: none to speak of; above 0.25: large.",
        "max by (model, version, feature) (model_feature_psi)",
        "{{model}} {{version}} {{feature}}",
    ),
    (
        "Live accuracy, by version",
        "percentunit",
        "The share of right answers of the last day, of those whose truth has been told.",
        "max by (model, version) (model_live_accuracy)",
        "{{model}} {{version}}",
    ),
    (
        "Predictions of the last day whose truth is known",
        "short",
        "A live accuracy of few of them says little.",
        "max by (model, version) (model_live_truths)",
        "{{model}} {{version}}",
    ),
    (
        "Rows logged, and dropped",
        "short",
        "In a second. Dropped: the database does not take them, or not so many.",
        "sum by (app, result) (rate(prediction_log_rows_total[1m]))",
        "{{app}} {{result}}",
    ),
]
DASHBOARDS = {
    "servelab": ("Servelab: two servers, side by side", SERVERS),
    "models": ("Servelab: models in motion", MODELS),
    "monitor": ("Servelab: a model, and what became of its predictions", MONITOR),
    "generation": ("Servelab: a language model, behind two servers", GENERATION),
}


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


def dashboard(name: str) -> dict:
    title, panels = DASHBOARDS[name]
    return {
        "uid": name,
        "title": title,
        "schemaVersion": 41,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "panels": [panel(number, *questions) for number, questions in enumerate(panels)],
    }


def text(name: str) -> str:
    return json.dumps(dashboard(name), indent=2) + "\n"


if __name__ == "__main__":
    for name in DASHBOARDS:
        file = Path(__file__).with_name("dashboards") / f"{name}.json"
        file.write_text(text(name), encoding="utf-8")
