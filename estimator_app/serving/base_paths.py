"""Base paths of models: absolute, or URIs.

Alone in its module because the settings need it before NumPy may be imported, whose threads would
take the signals that the server's program waits for.
"""


def is_absolute(path: str) -> bool:
    """Whether a base path is absolute or a URI."""
    return path.startswith("/") or "://" in path


def relative_sentence(name: str, base_path: str) -> str:
    """What is said of a base path that is neither (TF Serving: server_core.cc)."""
    return f"Expected model {name} to have an absolute path or URI; got base_path()={base_path}"
