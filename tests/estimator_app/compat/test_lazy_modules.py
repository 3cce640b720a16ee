"""The two traps of TensorFlow's lazy loading are real, and `lazy_modules.resolve` takes them away.

The programs run with `resolve` and without. `estimator_app.compat` calls it when it is imported, so they import its
modules one by one, around the package's own `__init__`.
"""

import pytest
import tensorflow as tf

from estimator_app.compat import lazy_modules, versions, views
from tests import fresh_process

pytestmark = pytest.mark.skipif(
    versions.has_own_estimator(tf.__version__), reason="TensorFlow 2.15 has its Keras loaded"
)

# TensorFlow is imported without the switch, as a notebook does it: then tf_keras is not loaded yet.
_HEAD = """
import os, sys, threading, types
import tensorflow as tf
import estimator_app

held, held_layers = tf.keras, tf.compat.v1.layers
first, second = tf.compat.v1, tf.compat.v2
os.environ["TF_USE_LEGACY_KERAS"] = "1"
package = types.ModuleType("estimator_app.compat")
package.__path__ = [os.path.join(os.path.dirname(estimator_app.__file__), "compat")]
sys.modules["estimator_app.compat"] = package
from estimator_app.compat import lazy_modules
"""

# Thread one stops inside the import of tf_keras until thread two has touched the same loader.
_THREADS = """
started, done = threading.Event(), threading.Event()

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "tf_keras" and threading.current_thread() is one:
            started.set()
            done.wait(60)

def touch_first():
    held.layers
    started.set()

def touch_second():
    started.wait(60)
    try:
        held.layers
        print("found")
    except RecursionError:
        print("RecursionError")
    done.set()

sys.meta_path.insert(0, Stop())
one, two = threading.Thread(target=touch_first), threading.Thread(target=touch_second)
one.start(), two.start()
one.join(), two.join()
"""

_VIEWS = """
first.mark = second.mark = "set by us"
tf.keras.layers.Dense
import tensorflow.compat.v1 as imported
print(tf.compat.v1 is first, tf.compat.v2 is second, hasattr(imported, "mark"))
"""

_HELD = """
print(held.Model is tf.keras.Model, held_layers.dense is tf.compat.v1.layers.dense)
print(type(held).__name__, held.__name__)
"""


def test_without_resolve_a_second_thread_recurses_and_the_first_load_replaces_the_views():
    printed = fresh_process.output(_HEAD + _THREADS + _VIEWS)
    assert printed.split() == ["RecursionError", *["False"] * 3]


def test_with_resolve_both_traps_are_gone_and_held_loaders_answer():
    printed = fresh_process.output(
        _HEAD
        + "lazy_modules.resolve()\nfirst, second = tf.compat.v1, tf.compat.v2\n"
        + _THREADS
        + _VIEWS
        + _HELD
    )
    assert printed.split() == [
        "found",
        *["True"] * 3,
        *["True"] * 2,
        "KerasLazyLoader",
        "tf_keras.api._v2.keras",
    ]


def test_no_lazy_loader_is_left_on_any_view():
    parts = list(lazy_modules._parts())
    assert {part.name for _, part in parts} == {
        *("keras", "layers", "rnn_cell", "losses", "metrics", "optimizers", "initializers")
    }
    for owner, part in parts:
        value = getattr(owner, part.name)
        assert value.__name__ == part.target, (owner.__name__, part.name)
        assert "KerasLazyLoader" not in repr(value)


def test_v1_and_v2_views_have_their_own_keras():
    for view, kind in views.loaded():
        assert view.keras.__name__ == f"tf_keras.api._{kind}.keras", view.__name__


def test_both_modules_of_each_view_are_known():
    loaded = [view for view, _ in views.loaded()]
    assert tf in loaded and tf.compat.v1 in loaded and tf.compat.v2 in loaded
    assert tf.compat.v1.compat.v1 in loaded and tf.compat.v2.compat.v2 in loaded
    assert len([view for view in loaded if view.__name__.endswith("v2.compat.v1")]) >= 2
