"""MLServer: its own scikit-learn runtime, or the smallest runtime over ONNX; all in one process.

https://docs.seldon.ai/mlserver/user-guide/adaptive-batching"""

import asyncio
import logging
import socket

from engine import BATCH, MODEL_FILE, PORT, load
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec, NumpyRequestCodec
from mlserver.types import InferenceResponse
from mlserver_sklearn import SKLearnModel


class OnnxModel(MLModel):
    async def load(self):
        self.model = load()
        return True

    async def predict(self, payload):
        classes = self.model(self.decode_request(payload, default_codec=NumpyRequestCodec))
        outputs = [NumpyCodec.encode_output("predict", classes)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def serve():
    settings = Settings(
        host="127.0.0.1",
        http_port=PORT,
        grpc_port=free_port(),
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
        gzip_enabled=False,
        logging_settings={"version": 1, "root": {"level": "ERROR"}},
    )
    model = ModelSettings(
        name="iris",
        implementation=OnnxModel if MODEL_FILE.endswith(".onnx") else SKLearnModel,
        parameters={"uri": MODEL_FILE, "version": "1"},
        max_batch_size=BATCH if BATCH > 1 else 0,
        max_batch_time=0.001 if BATCH > 1 else 0,
    )
    server = MLServer(settings)
    logging.disable(logging.WARNING)
    await server.start([model])


if __name__ == "__main__":
    import uvloop

    uvloop.install()
    asyncio.run(serve())
