"""The embedded model server: a directory of SavedModel versions behind TensorFlow Serving's API."""
