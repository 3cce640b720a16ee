"""A client for every server that speaks TensorFlow Serving's API, without TensorFlow."""
