"""LitServe: one API process and one inference worker; https://lightning.ai/docs/litserve/features/batching"""

import litserve
import numpy as np
from engine import BATCH, PORT, load


class Iris(litserve.LitAPI):
    def setup(self, device):
        self.model = load()

    def decode_request(self, request):
        return request["features"]

    def batch(self, rows):
        return np.array(rows)

    def predict(self, rows):
        return self.model(rows if BATCH > 1 else np.array([rows]))

    def unbatch(self, classes):
        return classes.tolist()

    def encode_response(self, found):
        return {"prediction": found if BATCH > 1 else found.tolist()}


if __name__ == "__main__":
    api = Iris(max_batch_size=BATCH, batch_timeout=0.01 if BATCH > 1 else 0, api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=False)
    server.run("127.0.0.1", PORT, num_api_servers=1, log_level="warning", generate_client_file=False)
