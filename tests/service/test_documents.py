"""The OpenAPI document is made once for a model and an app's routes: it is large, and whoever asks for it
many times would hold up others."""

from apps import flask_app
from apps.frameworks.flask_routes import describe


def test_the_document_is_made_again_only_for_other_routes(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("METRICS_PORT", "0")
    app, made = flask_app.create_app(), []
    service = app.extensions["service"]

    def described() -> dict:
        made.append("once more")
        return describe(app)

    first = service.documents.openapi(described, 20)
    assert service.documents.openapi(described, 20) is first
    assert len(made) == 1
    assert service.documents.openapi(described, 21) == first
    assert len(made) == 2
    service.stop()
