"""The session options of the models that a server loads, from its flags (TF Serving: server.cc).

config = session_config.from_settings(settings)
model = servable.Servable("/models/census/3", session_config=config)
"""

import logging

import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2

from estimator_app.serving import settings as serving_settings
from estimator_app.serving import text_files

_logger = logging.getLogger(__name__)


def from_settings(settings: serving_settings.ServerSettings) -> tf.compat.v1.ConfigProto:
    """The `ConfigProto` of the file, with what flags say in its place.

    Raises:
        errors.ServableError: the file cannot be read or is no ConfigProto.
    """
    config = tf.compat.v1.ConfigProto()
    if settings.tensorflow_session_config_file:
        config = text_files.read(settings.tensorflow_session_config_file, tf.compat.v1.ConfigProto)
    # A flag that is not given leaves what the file says; the stock server puts a 0 there.
    both = settings.tensorflow_session_parallelism
    intra = settings.tensorflow_intra_op_parallelism
    inter = settings.tensorflow_inter_op_parallelism
    if intra > 0 or inter > 0:
        both = 0
    if threads := max(intra, both):
        config.intra_op_parallelism_threads = threads
    if threads := max(inter, both):
        config.inter_op_parallelism_threads = threads
    if fraction := settings.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = fraction
    if settings.mixed_precision == "bfloat16":
        _logger.info("Running inference with bfloat16 auto mixed precision")
        rewrites = config.graph_options.rewrite_options
        rewrites.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    elif settings.mixed_precision:
        _logger.warning(
            "%s auto mixed precision is not supported. Valid option: bfloat16",
            settings.mixed_precision,
        )
    return config
