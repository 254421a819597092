# One file, one target for each process:
#   docker build -t ml-api:latest .                     the FastAPI server (the last target is the default)
#   docker build --target flask -t ml-api:flask .       the Flask server
#   docker build --build-arg GENERATION=on …            either with SmolLM2, 290 MB more; without, GENERATION=on
#                                                       runs the kit's own tiny model
#   docker build --target worker -t ml-worker:latest .   a worker, for the servers' jobs
#   docker build --target ui -t ml-ui:latest .          the Streamlit page
#   docker build --target lab -t ml-lab:latest .        JupyterLab with the lessons
#   docker build --target proxy -t ml-proxy:latest .    nginx, with deploy/proxy
#   docker build --target mlflow -t ml-mlflow:latest .  a registry of models
#   docker build --target collector -t ml-collector:latest .    takes traces, and hands them on
# The versions are those of requirements.txt in every target.

FROM python:3.12-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/opt/venv/bin:$PATH ORT_DISABLE_TELEMETRY=1
RUN useradd --create-home --uid 1000 app
WORKDIR /app

# --- environments: made with uv, which stays behind, as do the libraries' own tests
FROM base AS with-uv
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv --without-pip /opt/venv
ENV VIRTUAL_ENV=/opt/venv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
COPY requirements.txt ./

FROM with-uv AS serving-env
RUN uv pip install --no-cache --constraint requirements.txt fastapi uvicorn httptools uvloop flask waitress \
    pydantic-settings msgspec structlog prometheus-client opentelemetry-sdk opentelemetry-exporter-otlp-proto-http \
    onnxruntime onnx scikit-learn pandas mlflow-skinny joblib skops flask-swagger-ui pyjwt[crypto] pwdlib[argon2] sqlalchemy redis \
    psycopg[binary] "celery[sqlalchemy]" python-multipart httpx httpx-sse confusable-homoglyphs websockets psutil \
    && find /opt/venv -name tests -type d -prune -exec rm -r {} +
ARG GENERATION=off
COPY apps/service/generation/requirements.txt ./generation.txt
RUN if [ "$GENERATION" = on ]; then uv pip install --no-cache --no-deps --no-build --requirement generation.txt; fi

FROM with-uv AS ui-env
RUN uv pip install --no-cache --constraint requirements.txt streamlit altair httpx httpx-sse prometheus-client \
    && find /opt/venv -name tests -type d -prune -exec rm -r {} +

FROM with-uv AS mlflow-env
RUN uv pip install --no-cache --constraint requirements.txt mlflow psycopg[binary] \
    && find /opt/venv -name tests -type d -prune -exec rm -r {} +

FROM with-uv AS lab-env
COPY apps/service/generation/requirements.txt ./generation.txt
RUN uv pip install --no-cache --requirement requirements.txt && \
    uv pip install --no-cache --no-deps --no-build --requirement generation.txt

# --- the models: trained while the image is built, with the versions that will load them
FROM serving-env AS training
RUN uv pip install --no-cache --constraint requirements.txt skl2onnx
COPY model_training ./model_training
RUN python -m model_training.train iris && python -m model_training.generator

# --- lab: everything that a learner needs
FROM base AS lab
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* # llama.cpp's
COPY --from=lab-env /opt/venv /opt/venv
COPY --chown=1000 . ./
COPY --from=training --chown=1000 /app/models ./models
COPY --from=training --chown=1000 /app/model.pkl /app/model.onnx /app/card.json ./
RUN mkdir .kit && chown 1000 . .kit
USER 1000
EXPOSE 8888
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8888/api', timeout=3)"]
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "--ServerApp.root_dir=/app", "--LabApp.default_url=/lab/tree/notebooks"]

# --- ui: the page, which knows the servers by their addresses only
FROM base AS ui
COPY --from=ui-env /opt/venv /opt/venv
COPY .streamlit ./.streamlit
COPY ui ./ui
COPY benchmarks/__init__.py ./benchmarks/
COPY benchmarks/load ./benchmarks/load
USER 1000
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/_stcore/health', timeout=3)"]
CMD ["streamlit", "run", "ui/app.py", "--server.address=0.0.0.0", "--server.port=8501", "--server.headless=true"]

# --- proxy: HTTPS in front of both servers
FROM nginx:1.28-bookworm AS proxy
COPY deploy/proxy /app/deploy/proxy
COPY deploy/proxy/servers_compose.conf /app/deploy/proxy/servers.conf
RUN install --directory --owner=1000 /app/.kit/proxy
USER 1000
EXPOSE 8443 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --start-interval=1s CMD ["curl", "-sf", "-o", "/dev/null", "-H", "Host: localhost", "http://127.0.0.1:8080/"]
CMD ["sh", "/app/deploy/proxy/start.sh"]

# --- mlflow: the registry of models, with its pages
FROM base AS mlflow
COPY --from=mlflow-env /opt/venv /opt/venv
RUN install --directory --owner=1000 /mlflow
USER 1000
ENV MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false GIT_PYTHON_REFRESH=quiet HOME=/tmp \
    MLFLOW_BACKEND_STORE_URI=sqlite:////mlflow/mlflow.db MLFLOW_SERVER_ALLOWED_HOSTS=mlflow:*,localhost:*,127.0.0.1:*
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --start-interval=1s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:5000/health', timeout=3)"]
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1", "--artifacts-destination", "/mlflow/artifacts"]

# --- collector: OpenTelemetry's, beside a Python for its health check, since its own image has no program but it
FROM base AS collector
COPY --from=otel/opentelemetry-collector:0.134.0 /otelcol /usr/local/bin/otelcol
USER 1000
EXPOSE 4317 4318
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:13133/', timeout=3)"]
CMD ["otelcol", "--config", "/etc/traces/collector.yaml"]

# --- serving: what a prediction needs, and nothing else
FROM base AS serving
ARG GENERATION=off
# hadolint ignore=DL3008
RUN if [ "$GENERATION" = on ]; then apt-get update && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*; fi
COPY --from=serving-env /opt/venv /opt/venv
COPY --from=training /app/model.pkl /app/model.onnx /app/card.json ./
COPY --from=training /app/models/tiny.onnx ./models/
COPY model_training ./model_training
COPY apps ./apps
RUN install --directory --owner=1000 /data /jobs
USER 1000
# A container has its addresses to itself: who publishes its port decides who reaches it, and sets ACCESS=on
# where that is more than this machine.
ENV ACCESS=off HOST=0.0.0.0 METRICS_HOST=0.0.0.0 MODEL_PATH=/app/model.pkl LOG_FORMAT=json JOBS_FOLDER=/jobs \
    ACCESS_PATH=/data/access MODEL_STORE=/data/store GENERATION_FOLDER=/data/generation PREDICTION_LOG_FOLDER=/data/predictions

FROM serving AS worker
EXPOSE 8002
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8002/health/ready', timeout=3)"]
CMD ["python", "-m", "apps.worker"]

FROM serving AS flask
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:5000/health', timeout=3)"]
CMD ["python", "-m", "apps.flask_app"]

FROM serving AS fastapi
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=3)"]
CMD ["python", "-m", "apps.fastapi_app"]
