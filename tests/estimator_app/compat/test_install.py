"""After `compat.install()` code of the Estimator era finds what it found on 2.15; most of this runs natively there
too."""

import json
import sys
import textwrap
import threading

import numpy as np
import pytest
import tensorflow as tf

from estimator_app import compat
from estimator_app.compat import missing_names, old_imports, versions, views
from tests import fresh_process

OWN = versions.has_own_estimator(tf.__version__)
after_2_15 = pytest.mark.skipif(OWN, reason="TensorFlow has all of it itself")


def _state():
    """Everything that install may touch: attributes, lists of names, import hooks and modules."""
    modules = {id(view): view for view, _ in views.loaded()}
    for entry in missing_names.SUPPLIED:
        for view, _ in views.loaded():
            part = views.below(view, entry.path)
            modules[id(part)] = part
    for name in old_imports.API.values():
        modules[id(sys.modules[name])] = sys.modules[name]
    for module in list(modules.values()):
        inner = getattr(module, "_tfmw_wrapped_module", module)
        modules[id(inner)] = inner
    return {
        "attributes": {
            key: {n: id(v) for n, v in vars(module).items() if not n.startswith("_tfmw_")}
            for key, module in modules.items()
        },
        "listed": {key: list(getattr(m, "__all__", ())) for key, m in modules.items()},
        "shown": {key: dir(module) for key, module in modules.items()},
        "hooks": list(sys.meta_path),
        "modules": {n: id(m) for n, m in sys.modules.items() if n.startswith("tensorflow")},
        "estimators": [hasattr(view, "estimator") for view, _ in views.loaded()],
    }


def test_every_view_has_the_estimators_of_its_version(installed):
    from tensorflow_estimator.python.estimator.canned import dnn

    classes = {views.V1: dnn.DNNClassifier, views.V2: dnn.DNNClassifierV2}
    kinds = [kind for _, kind in views.loaded()]
    assert kinds.count(views.V1) >= 3 and kinds.count(views.V2) >= 4
    for view, kind in views.loaded():
        assert view.estimator.DNNClassifier is classes[kind], view.__name__


@pytest.mark.parametrize("kind", [views.V1, views.V2])
def test_names_of_estimator_are_those_that_2_15_shows(installed, kind):
    module = tf.compat.v1.estimator if kind == views.V1 else tf.estimator
    wheel = __import__(old_imports.API[kind], fromlist=["x"])
    public = {name for name in dir(module) if not name.startswith("_")}
    assert public == {name for name in dir(wheel) if not name.startswith("_")}
    assert {"DNNClassifier", "RunConfig", "experimental", "export", "train_and_evaluate"} <= public
    assert ("tpu" in public) == (kind == views.V1)


def test_tf_shows_estimator(installed):
    assert "estimator" in dir(tf) and "estimator" in tf.__all__
    assert "estimator" in dir(tf.compat.v1) and "estimator" in dir(tf.compat.v2)


IMPORTS = """
    import estimator_app.compat.autoinstall
    import tensorflow as tf
    from tensorflow import estimator
    from tensorflow.estimator import DNNClassifier, RunConfig
    from tensorflow.estimator.experimental import InMemoryEvaluatorHook
    import tensorflow.estimator as named
    import tensorflow.compat.v1 as tf1
    import tensorflow.compat.v2 as tf2
    from tensorflow.compat.v1 import estimator as estimator1
    from tensorflow.compat.v1.estimator import DNNClassifier as DNNClassifier1
    from tensorflow.compat.v1.estimator.tpu import TPUEstimator
    from tensorflow.compat.v2.estimator import DNNClassifier as DNNClassifier2
    from tensorflow.python.estimator import estimator as estimator_lib
    from tensorflow.python.estimator import estimator_lib, keras, run_config, training
    from tensorflow.python.estimator.canned import baseline, dnn, head, linear, metric_keys
    from tensorflow.python.estimator.export import export_output
    from tensorflow.python.estimator.inputs import numpy_io, pandas_io
    from tensorflow.python.estimator.inputs.queues import feeding_functions
    from tensorflow.python.tpu import tpu_config, tpu_context, tpu_estimator, error_handling
    from tensorflow.keras.estimator import model_to_estimator
    from tensorflow.data.experimental import CheckpointInputPipelineHook
    import tensorflow_estimator as tfe
    from tensorflow_estimator.python.estimator.canned import dnn as wheel_dnn

    assert DNNClassifier is DNNClassifier2 is tf.estimator.DNNClassifier is tf2.estimator.DNNClassifier
    assert DNNClassifier is wheel_dnn.DNNClassifierV2 is dnn.DNNClassifierV2
    assert DNNClassifier1 is tf1.estimator.DNNClassifier is wheel_dnn.DNNClassifier
    assert tfe.estimator.DNNClassifier is wheel_dnn.DNNClassifier
    assert keras.model_to_estimator and run_config.RunConfig is tf.estimator.RunConfig
    assert tpu_estimator.TPUEstimator is TPUEstimator
    assert tf.data.experimental.CheckpointInputPipelineHook is CheckpointInputPipelineHook
    {more}
"""


@after_2_15
@pytest.mark.parametrize(
    "name", ["tensorflow.python.estimator.canned.boosted_trees", "tensorflow.estimator.nothing"]
)
def test_import_of_what_the_wheel_lacks_fails_as_any_other(installed, name):
    with pytest.raises(ModuleNotFoundError, match=name):
        __import__(name)


@after_2_15
def test_uninstall_puts_everything_back():
    compat.install()  # loads what it needs
    compat.uninstall()
    before = _state()
    compat.install()
    assert _state() != before
    import tensorflow.compat.v1.estimator
    import tensorflow.estimator.export
    import tensorflow.python.estimator.canned.dnn
    import tensorflow.python.estimator.keras
    import tensorflow.python.tpu.tpu_config  # noqa: F401

    compat.uninstall()
    assert _state() == before
    compat.uninstall()
    assert _state() == before
    with pytest.raises(AttributeError):
        tf.estimator


@pytest.mark.skipif(not OWN, reason="TensorFlow has no Estimators of its own")
def test_install_changes_nothing_on_2_15():
    before = _state()
    compat.install()
    assert _state() == before
    compat.uninstall()
    assert _state() == before


@after_2_15
def test_install_twice_and_from_threads_is_one_install():
    compat.install()
    once = _state()
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        compat.install()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _state() == once
    compat.uninstall()
    assert not hasattr(tf, "estimator")


@after_2_15
def test_first_install_from_threads():
    compat.uninstall()
    threads = [threading.Thread(target=compat.install) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    compat.uninstall()
    assert not any(type(hook).__module__ == old_imports.__name__ for hook in sys.meta_path)
    assert not hasattr(tf.compat.v1, "estimator")


@after_2_15
def test_install_that_fails_leaves_nothing_behind(monkeypatch):
    compat.uninstall()
    before = _state()
    broken = missing_names.Supplied((views.V2,), "data", "no_such_name", "2.16", "json")
    monkeypatch.setattr(missing_names, "SUPPLIED", missing_names.SUPPLIED + (broken,))
    with pytest.raises(AttributeError, match="no_such_name"):
        compat.install()
    monkeypatch.undo()
    assert _state() == before


def test_keras_model_becomes_an_estimator(installed, tmp_path):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,), name="only")])
    model.compile(tf.keras.optimizers.legacy.SGD(0.1), "mse")
    estimator = tf.keras.estimator.model_to_estimator(model, model_dir=str(tmp_path))
    assert isinstance(estimator, tf.estimator.Estimator)

    def input_fn():
        ones = np.ones([4, 1], np.float32)
        return tf.data.Dataset.from_tensors((ones, ones)).repeat(2)

    estimator.train(input_fn, steps=2)
    assert next(estimator.predict(input_fn))["only"].shape == (1,)


def test_startup_file_installs_for_the_v1_program_that_follows(tmp_path):
    script = tmp_path / "old.py"
    script.write_text(textwrap.dedent(f"""
        import numpy as np
        import tensorflow.compat.v1 as tf

        print(tf.estimator.DNNClassifier)
        tf.disable_v2_behavior()
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,), name="only")])
        model.compile(tf.train.GradientDescentOptimizer(0.1), "mse")
        estimator = tf.keras.estimator.model_to_estimator(model, model_dir={str(tmp_path)!r})
        ones = np.ones([4, 1], np.float32)
        input_fn = lambda: tf.data.Dataset.from_tensors((ones, ones)).repeat(2)
        estimator.train(input_fn, steps=2)
        print(type(estimator).__name__, estimator.get_variable_value("global_step"))
        """))
    printed = fresh_process.output(f"""
        import runpy
        import estimator_app.compat.autoinstall
        runpy.run_path({str(script)!r}, run_name="__main__")
        """)
    first, last = printed.splitlines()
    assert "canned.dnn.DNNClassifier'" in first
    assert last == "Estimator 2"


@pytest.mark.parametrize("view", ["tf", "tf.compat.v1", "tf.compat.v2"])
def test_premade_keras_models_are_linked(installed, view):
    experimental = eval(view, {"tf": tf}).keras.experimental
    wide = experimental.LinearModel()
    assert isinstance(experimental.WideDeepModel(wide, wide), tf.keras.Model)
    assert experimental.SequenceFeatures


NOTEBOOK = {
    "nbformat": 4,
    "cells": [
        {"cell_type": "markdown", "source": ["# Which half?"]},
        {"cell_type": "code", "source": ["{first}\n", "{second}\n", "import numpy as np\n"]},
        {
            "cell_type": "code",
            "source": [
                "x = np.linspace(-1, 1, 64, dtype=np.float32)\n",
                "input_fn = tf.compat.v1.estimator.inputs.numpy_input_fn(\n",
                "    {'x': x}, (x > 0).astype(np.int64), batch_size=64, num_epochs=40, shuffle=True)\n",
                "classifier = tf.estimator.DNNClassifier(\n",
                "    hidden_units=[16], feature_columns=[tf.feature_column.numeric_column('x')],\n",
                "    optimizer=tf.keras.optimizers.legacy.Adam(0.1),\n",
                "    config=tf.estimator.RunConfig(tf_random_seed=1))\n",
            ],
        },
        {"cell_type": "code", "source": ["classifier.train(input_fn)"]},
        {
            "cell_type": "code",
            "source": ["print(classifier.evaluate(input_fn, steps=1)['accuracy'])"],
        },
    ],
}
_LINE, _TENSORFLOW = "import estimator_app.compat.autoinstall", "import tensorflow as tf"


def _notebook(path, first, second):
    """Writes a notebook that begins with two lines; returns a program that runs its cells."""
    text = json.dumps(NOTEBOOK).replace("{first}", first).replace("{second}", second)
    path.write_text(text, encoding="utf-8")
    return f"""
    import json
    names = {{"__name__": "__main__"}}
    for cell in json.load(open({str(path)!r}))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    """


def test_line_before_tensorflow_gives_the_imports_of_2_15_and_runs_a_notebook(tmp_path):
    more = "" if OWN else "assert dnn is wheel_dnn and named is tf.estimator is estimator"
    notebook = _notebook(tmp_path / "halves.ipynb", _LINE, _TENSORFLOW)
    printed = fresh_process.output(IMPORTS.format(more=more) + notebook)
    assert float(printed.split()[-1]) > 0.9


def test_line_after_tensorflow_runs_a_notebook(tmp_path):
    printed = fresh_process.output(_notebook(tmp_path / "halves.ipynb", _TENSORFLOW, _LINE))
    assert float(printed.split()[-1]) > 0.9
