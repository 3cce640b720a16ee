"""Every name of TensorFlow that the wheel and this project use is there: the early warning for a coming release.

When it fails, its message lists what is gone and the lines that use it. What the wheel needs is then supplied by a
patch of `estimator_app/compat`; what nobody misses gets a line in `HARMLESS` of `scripts/private_names.py`.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import textwrap

import pytest
import tensorflow as tf

import estimator_app.compat  # noqa: F401  (its patches are part of what is there)

_SCRIPT = pathlib.Path(__file__).parents[3] / "scripts" / "private_names.py"


@pytest.fixture(scope="module")
def names():
    spec = importlib.util.spec_from_file_location("private_names_script", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def used(names):
    """Every use of a name of TensorFlow's, in the wheel and here."""
    return names.uses(names.sources())


def test_nothing_that_is_used_is_gone(names, used):
    missed = [use for use in names.gone(used) if not use.name.startswith(tuple(names.HARMLESS))]
    assert not missed, f"gone on TensorFlow {tf.__version__}:\n{names.text(missed)}"


def test_every_line_of_the_table_stands_for_a_name_that_is_used(names, used):
    for start in names.HARMLESS:
        assert any(use.name.startswith(start) for use in used), start


def test_the_wheel_and_the_project_are_both_read(used):
    found = {(use.name, pathlib.Path(use.file).name) for use in used}
    assert (
        "tensorflow.python.distribute.estimator_training.init_run_config",
        "run_config.py",
    ) in found
    assert ("tensorflow.python.framework.graph_io.text_format", "graph_text.py") in found
    assert ("tensorflow.compat.v1.train.get_global_step", "progress.py") in found


def test_gone_names_are_listed_with_file_and_line(names, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent("""\
        import tensorflow as tf
        import tensorflow.python.no_such_module
        from tensorflow.python.framework import ops, no_such_name
        from tensorflow.python.framework import dtypes as types

        def build(ops):
            return ops.argument_of_ours, tf._no_such_attribute

        print(ops.Graph.as_default, ops.Graph.no_such_method, types.no_such_type)
        print(types.float32.attribute_of_an_object, tf.compat.v1.no_such_symbol)
    """))
    assert names.text(names.gone(names.uses([path]))) == "\n".join(
        f"{name}\n    {path}:{line}"
        for name, line in [
            ("tensorflow._no_such_attribute", 7),
            ("tensorflow.compat.v1.no_such_symbol", 10),
            ("tensorflow.python.framework.dtypes.no_such_type", 9),
            ("tensorflow.python.framework.no_such_name", 3),
            ("tensorflow.python.framework.ops.Graph.no_such_method", 9),
            ("tensorflow.python.no_such_module", 2),
        ]
    )


def test_private_are_undocumented_packages_and_underscores(names):
    private = ["tensorflow.python.ops", "tensorflow.core.util", "tensorflow.nn._x"]
    public = ["tensorflow.compat.v1.train.Saver", "tensorflow.io.gfile"]
    assert all(names.Use(name, "f.py", 1).is_private for name in private)
    assert not any(names.Use(name, "f.py", 1).is_private for name in public)
