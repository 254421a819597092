"""The service behind both servers: it knows models, features and problems, and nothing of a web framework.

The doors use `build` and `Service`, and nothing else."""

import sys

from apps.service import contract, open_inference, problems
from apps.service.batching import Outcome
from apps.service.exchange import Exchange, Gate
from apps.service.lifecycle import Lifecycle
from apps.service.logs import RequestLog, configure
from apps.service.metrics import Metrics
from apps.service.model import Model, Serving
from apps.service.prediction import Prediction
from apps.service.problems import Problem
from apps.service.routes import ROUTES, allow, template_of
from apps.service.settings import Settings, SettingsError, read
from apps.service.tracing import Tracing

__all__ = ["Exchange", "Problem", "Service", "build"]

VERSION = "0.3.0"
OTHERS_ANSWER_SECONDS = 20


def build(app: str, port: int) -> "Service":
    """The service of one process, as the environment wants it. Ends the process with one line where the
    environment is wrong. Nothing runs before `start`."""
    try:
        settings = read(port=port)
    except SettingsError as error:
        sys.exit(f"{app}: {error}")
    log = configure(settings)
    metrics = Metrics(app)
    model = Model(settings.model_path, settings.model_format, log, metrics)
    return Service(app, settings, log, RequestLog(settings, log), metrics, Tracing(settings, app), model)


class Service:
    """What a server can do, one method for each route. Its parts come from outside, so that a test may bring
    its own."""

    def __init__(
        self, app: str, settings: Settings, log, request_log, metrics, tracing, model: Model
    ) -> None:
        self.app, self.settings, self.log = app, settings, log
        self.metrics, self.tracing, self.model = metrics, tracing, model
        self.lifecycle = Lifecycle()
        self._stop_exporter, self._request_log = None, request_log
        self.exporter_listener, self._stopped = None, False  # a worker is handed a listener
        self.gate = Gate(settings, log, request_log, metrics, tracing)
        deep = settings.max_json_depth
        self._one = contract.Reader(contract.PredictRequest, '{"features": [numbers]}', deep)
        self._many = contract.Reader(contract.BatchRequest, '{"instances": [[numbers], ...]}', deep)
        self._tensors = contract.Reader(open_inference.InferRequest, open_inference.EXAMPLE, deep)

    def start(self) -> None:
        """Load the model beside the requests, and show the metrics on their own port. One of several workers
        waits for its model, a while, before it takes requests: the others answer them better."""
        settings = self.settings
        self.model.start(wait=OTHERS_ANSWER_SECONDS if settings.workers > 1 else 0)
        if settings.exporter_port:
            try:
                self._stop_exporter = self.metrics.serve(
                    settings.metrics_host, settings.exporter_port, self.exporter_listener
                )
            except OSError as error:
                self.log.warning(
                    "metrics not served: set METRICS_PORT to a free port",
                    port=settings.exporter_port,
                    error=error.strerror,
                )

    def stop(self) -> None:
        """Hand on what has been counted and traced. Stopping twice does no harm."""
        if self._stopped:
            return
        self._stopped = True
        if self._stop_exporter:
            self._stop_exporter()
        self.metrics.flush()
        self.model.close()
        self.tracing.close()
        self._request_log.flush()

    # --- errors
    def problem_of(self, status: int, path: str) -> Problem:
        """A framework's own error, as ours."""
        route = template_of(path)
        if status == 405 and route in ROUTES:
            return Problem("method-not-allowed", f"expected {allow(route)}", [("Allow", allow(route))])
        return problems.of_status(status)

    def problem_page(self, slug: str | None) -> bytes:
        if slug is not None and slug not in problems.KINDS:
            raise Problem("not-found", "there is no problem of that name; all of them are at /problems")
        return problems.page(slug).encode()

    # --- documents
    def openapi(self) -> bytes:
        from apps.service import openapi  # what few ask for costs no start-up anything

        try:
            serving = self.model.serving
        except Problem:
            serving = None
        return contract.encode(openapi.document(self.app, VERSION, self.settings, serving))

    def docs(self, file: str) -> tuple[bytes, str]:
        """A file of the documentation page, and its media type. Raises Problem 404 for one not of it."""
        from apps.service import docs

        return docs.read(file)

    # --- health
    def health(self) -> bytes:
        """200 while it can predict. Raises Problem (503) with the reason while it cannot."""
        serving = self._ready(app=self.app, uptime_seconds=self.lifecycle.uptime_seconds)
        return contract.encode(
            {
                "status": "ok",
                "app": self.app,
                "model": {"name": serving.name, "version": serving.version, "format": serving.format},
                "uptime_seconds": self.lifecycle.uptime_seconds,
            }
        )

    def live(self) -> bytes:
        return contract.encode({"status": "live"})

    def ready(self) -> bytes:
        self._ready()
        return contract.encode({"status": "ready"})

    def _ready(self, **members) -> Serving:
        if self.lifecycle.draining:
            raise Problem("draining", "this server is shutting down", **members)
        try:
            return self.model.serving
        except Problem as problem:
            problem.members.update(members)
            raise

    # --- the model
    def card(self) -> bytes:
        return self.model.serving.card_json

    def models(self) -> bytes:
        try:
            found = self.model.serving
        except Problem:
            return contract.encode({"models": []})
        entry = {"name": found.name, "version": found.version, "format": found.format, "state": "ready"}
        return contract.encode({"models": [entry]})

    # --- predictions
    def predict(self, exchange: Exchange) -> Prediction:
        """One row. Raises Problem where the body is not what it should be."""
        with exchange.trace.span("validate"):
            self._check_type(exchange)
            serving = self.model.serving
            features = self._one.read(exchange.body).features
            contract.check_features([features], serving, one=True)

        def tell(outcome: Outcome) -> bytes:
            shares = outcome.probabilities
            return contract.encode(
                contract.PredictAnswer(
                    prediction=outcome.predictions,
                    label=serving.class_of[outcome.predictions[0]] if serving.classes else None,
                    probabilities=dict(zip(serving.classes, shares[0], strict=True)) if shares else None,
                    model=serving.identity,
                    request_id=exchange.request_id,
                )
            )

        return Prediction(self, exchange, serving, [features], tell)

    def predict_batch(self, exchange: Exchange) -> Prediction:
        """Up to MAX_BATCH_ROWS rows, all or none of them. Raises Problem."""
        with exchange.trace.span("validate"):
            self._check_type(exchange)
            serving = self.model.serving
            rows = self._many.read(exchange.body).instances
            self._check_count(len(rows))
            contract.check_features(rows, serving)

        def tell(outcome: Outcome) -> bytes:
            shares = outcome.probabilities
            return contract.encode(
                contract.BatchAnswer(
                    prediction=outcome.predictions,
                    label=[serving.class_of[raw] for raw in outcome.predictions] if serving.classes else None,
                    probabilities=[dict(zip(serving.classes, row, strict=True)) for row in shares]
                    if shares
                    else None,
                    model=serving.identity,
                    request_id=exchange.request_id,
                )
            )

        return Prediction(self, exchange, serving, rows, tell)

    def _check_count(self, rows: int) -> None:
        limit = self.settings.max_batch_rows
        if not rows:
            raise Problem("invalid-input", f"expected from 1 to {limit} rows, got none")
        if rows > limit:
            raise Problem("too-many-rows", f"expected at most {limit} rows")

    @staticmethod
    def _check_type(exchange: Exchange, needed: bool = True) -> None:
        """Raises Problem 415 unless the body is application/json as it is. A browser's form may not stand in
        for it: that would let any web page post here."""
        if exchange.content_encoding.strip().lower() not in ("", "identity"):
            raise Problem(
                "unsupported-media-type",
                "expected a body that is not compressed",
                [("Accept-Encoding", "identity")],
            )
        found = exchange.content_type
        if not found and not needed:
            return
        if found != "application/json" and found.partition(";")[0].strip().lower() != "application/json":
            raise Problem("unsupported-media-type", "expected the header Content-Type: application/json")

    # --- the Open Inference Protocol
    def v2(self) -> bytes:
        return contract.encode({"name": "servelab", "version": VERSION, "extensions": []})

    def v2_live(self) -> bytes:
        return contract.encode({"live": True})

    def v2_ready(self) -> bytes:
        self._ready()
        return contract.encode({"ready": True})

    def v2_model(self, name: str, version: str | None = None) -> bytes:
        return contract.encode(open_inference.metadata(self._named(name, version)))

    def v2_model_ready(self, name: str, version: str | None = None) -> bytes:
        serving = self._named(name, version)
        self._ready()
        return contract.encode({"name": serving.name, "ready": True})

    def v2_infer(self, exchange: Exchange, name: str, version: str | None = None) -> Prediction:
        """Rows as a tensor. Raises Problem. Triton's and KServe's own clients send no Content-Type."""
        with exchange.trace.span("validate"):
            self._check_type(exchange, needed=False)
            serving = self._named(name, version)
            request = self._tensors.read(exchange.body)
            rows = open_inference.rows_of(request, serving)
            self._check_count(len(rows))
            contract.check_features(rows, serving)
            open_inference.check_outputs(request, serving)

        def tell(outcome: Outcome) -> bytes:
            return contract.encode(open_inference.answer(request, outcome, serving, exchange.request_id))

        return Prediction(self, exchange, serving, rows, tell)

    def _named(self, name: str, version: str | None) -> Serving:
        serving = self.model.serving
        if name != serving.name or version not in (None, serving.version):
            raise Problem("unknown-model", "there is no such model here; /models lists those there are")
        return serving
