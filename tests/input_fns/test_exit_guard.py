"""A process ends although it has not read an endless dataset to its end."""

import os
import subprocess
import sys

_SCRIPT = """
import itertools

from input_fns import pipeline, schema, settings, sources


def rows():
    for number in itertools.count():
        sum(itertools.repeat(number, 100_000))  # so long in Python that the process would end meanwhile
        yield {"x": number, "y": number % 2}


if __name__ == "__main__":
    known = schema.Schema((schema.Feature("x", "int64"),), (schema.Feature("y", "float32"),))
    given = settings.InputSettings(
        train_data="endless:rows", label_column="y", batch_size=8, shuffle_buffer=0
    )
    source = sources.open_source(given, "train", known)
    batches = iter(pipeline.make_input_fn(source, known, given, "train")())
    print(len(next(batches)[1]))
    # Whatever a tf.function captures is in such a cycle, which is collected when the interpreter ends.
    cycle = [batches]
    cycle.append(cycle)
"""


def test_a_process_ends_while_its_dataset_is_being_filled(tmp_path):
    (tmp_path / "endless.py").write_text(_SCRIPT)
    path = os.pathsep.join([str(tmp_path), os.getcwd(), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "endless"],
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr
