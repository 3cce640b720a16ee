"""A TFLite file behind the server's ports, warmed up."""

import grpc
import numpy as np

from estimator_app.serving import server
from estimator_app.serving import settings as serving_settings
from export import warmup_file
from serving_client import wire
from tests import saved_models

_TIMEOUT_SECS = 30.0


def _request(rows):
    request = wire.PredictRequest()
    request.model_spec.name = "default"
    numbers = np.ones([rows, 2], np.float32)
    words = np.array([b"a"] * rows, object)
    request.inputs["serving_default_x"].CopyFrom(wire.to_tensor_proto(numbers))
    request.inputs["serving_default_word"].CopyFrom(wire.to_tensor_proto(words))
    return request


def test_a_lite_file_is_served_only_if_preferred(tmp_path):
    saved_models.write_plain_model(tmp_path)
    (tmp_path / "1" / "model.tflite").write_bytes(saved_models.lite_model())
    log = wire.PredictionLog()
    log.predict_log.request.CopyFrom(_request(4))
    warmup_file.write(str(tmp_path / "1"), [log.SerializeToString()])
    settings = serving_settings.ServerSettings(
        port=0, model_base_path=str(tmp_path), prefer_tflite_model=True
    )
    with server.ModelServer(settings) as running:
        with grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
            method = wire.METHODS["Predict"]
            call = channel.unary_unary(
                method.path, method.request.SerializeToString, method.response.FromString
            )
            outputs = call(_request(3), timeout=_TIMEOUT_SECS).outputs
        values = {array.dtype.kind: array for array in map(wire.to_array, outputs.values())}
        assert values["f"].tolist() == [[3.0, 3.0]] * 3
        assert values["O"].tolist() == [[b"a"]] * 3
