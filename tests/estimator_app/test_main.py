"""`estimator-train` as its own process: exit codes, sentences, signals, full and read-only disks."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-m", "estimator_app.main"]


def job_flags(census, model_dir, *more):
    """Returns the flags of a job that takes seconds."""
    return [
        f"--train_data={census.train}",
        f"--eval_data={census.eval}",
        "--label_column=income",
        "--model=baseline",
        "--batch_size=32",
        f"--model_dir={model_dir}",
        *more,
    ]


def run_program(*args, **kwargs):
    """Runs the program to its end."""
    return subprocess.run([*PROGRAM, *args], capture_output=True, text=True, check=False, **kwargs)


def test_a_job_prints_where_everything_lies_and_exits_with_0(census, tmp_path):
    result = run_program(*job_flags(census, tmp_path / "job", "--max_steps=10"))
    assert result.returncode == 0, result.stderr
    assert re.search(r"^evaluation  accuracy 0\.\d{4}, auc 0\.5000", result.stdout, re.M)
    assert re.search(
        rf"^export      {tmp_path}/job/export/\d+ \(100 rows through 5 signatures",
        result.stdout,
        re.M,
    )
    assert f"tensorboard --logdir={tmp_path}/job" in result.stdout
    assert "600 training rows, 200 evaluation rows, 14 features" in result.stderr
    assert "deprecated" not in result.stderr


@pytest.mark.parametrize("signum, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_writes_a_checkpoint_says_so_and_the_next_start_goes_on(
    census, tmp_path, signum, code
):
    job = tmp_path / "job"
    flags = job_flags(census, job, "--max_steps=100000000", "--save_checkpoints_steps=200")
    with subprocess.Popen([*PROGRAM, *flags], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # Until the first evaluation: training is under way.
        lines = list(itertools.takewhile(lambda line: "evaluated" not in line, process.stderr))
        process.send_signal(signum)
        rest = process.stderr.read()
        assert process.wait(timeout=60) == code, "".join(lines) + rest
    step = re.search(r"Interrupted; the checkpoint of step (\d+) is written to", rest)
    assert step, rest
    assert (job / f"model.ckpt-{step[1]}.index").exists()

    resumed = run_program(*job_flags(census, job, f"--max_steps={int(step[1]) + 1}"))
    assert resumed.returncode == 0, resumed.stderr
    assert f"trained     to step {int(step[1]) + 1} in" in resumed.stdout


@pytest.mark.parametrize(
    "changes, sentence",
    [
        (["--train_data=nothing*.csv"], "nothing*.csv"),
        (["--label_column=incomme"], "has no label column 'incomme'. Its columns are: age,"),
        (["--model=dnm"], "Unknown model 'dnm'. Known models:"),
        (["--schema=missing.pbtxt"], "Cannot read the schema missing.pbtxt"),
    ],
)
def test_wrong_request_ends_with_2_and_one_sentence(census, tmp_path, changes, sentence):
    result = run_program(*job_flags(census, tmp_path / "job", *changes))
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "job").exists()


def run_beside_full_disk(directory, kib, *args):
    """Runs the program with a real file system of that size mounted on `directory`; prints what it leaves there."""
    namespace = ["unshare", "-rm"]  # the mount is seen by this process alone, and goes with it
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace, "true"], check=False).returncode
    ):
        pytest.skip("a file system of one's own needs unshare and user namespaces")
    mount = 'mount -t tmpfs -o size="$1"k tmpfs "$2" && d=$2 && shift 2'
    script = f'{mount} && "$@"; rc=$?; find "$d" -mindepth 1; exit $rc'
    directory.mkdir(parents=True)
    command = [*namespace, "sh", "-c", script, "sh", str(kib), str(directory), *PROGRAM, *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_full_disk_under_the_model_directory_ends_with_1_and_one_sentence(census, tmp_path):
    flags = job_flags(
        census, tmp_path / "disk" / "job", "--max_steps=10", "--model=dnn", "--hidden_units=256"
    )
    result = run_beside_full_disk(tmp_path / "disk", 400, *flags)
    assert result.returncode == 1, result.stderr
    assert re.search(
        r"^error: Expected to write .*No space left on device.* Make room", result.stderr, re.M
    ), result.stderr
    assert "Traceback" not in result.stderr
    assert not re.search(r"\.tmp|_temp", result.stdout)


def test_full_disk_under_the_export_directory_leaves_no_half_version(census, tmp_path):
    flags = job_flags(
        census,
        tmp_path / "job",
        "--max_steps=10",
        "--model=dnn",
        f"--export_dir={tmp_path}/disk/export",
    )
    result = run_beside_full_disk(tmp_path / "disk", 100, *flags)
    assert result.returncode == 1, result.stderr
    assert "No space left on device" in result.stderr and "Traceback" not in result.stderr
    assert result.stdout.split() == [f"{tmp_path}/disk/export"]
    # What was lost is the export alone: with room again, the next start only exports.
    again = run_program(*job_flags(census, tmp_path / "job", "--max_steps=10", "--model=dnn"))
    assert again.returncode == 0, again.stderr
    assert "/job/export/" in again.stdout


def test_loss_that_is_not_finite_ends_with_1_and_names_the_fix(census, tmp_path):
    flags = job_flags(
        census, tmp_path / "job", "--model=dnn", "--optimizer=sgd", "--learning_rate=1e30"
    )
    result = run_program(*flags)
    assert result.returncode == 1
    assert "error: Expected a finite loss, found NaN. Lower --learning_rate" in result.stderr


def test_read_only_model_directory_is_refused_before_any_work(census, tmp_path):
    (tmp_path / "fixed").mkdir(mode=0o555)
    command = [*PROGRAM, *job_flags(census, tmp_path / "fixed" / "job")]
    if os.geteuid() == 0:
        # root writes everywhere unless this capability is taken away
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv cannot meet a read-only directory")
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "to be a directory that can be written to, found: Permission denied." in result.stderr
    assert "training rows" not in result.stderr


def test_leftover_argument_is_refused():
    result = run_program("census")
    assert result.returncode == 2
    assert (
        "Expected flags, or one of convert, data before any flag, found 'census'." in result.stderr
    )
