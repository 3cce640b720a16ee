"""`estimator-train` as its own process: exit codes, sentences, what it says and what not, signals, full and read-only
disks."""

from __future__ import annotations

import itertools
import json
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


# In 2.18 to 2.20 the last two are under no log level that Python can set, and come with the first session.
ALL_THAT_A_JOB_SAYS = re.compile(
    r"Loading TensorFlow \.\.\."
    r"|600 training rows, 200 evaluation rows, 14 features"
    r"|evaluated at step \d+: .*"
    r"|step \d+/\d+, .*"
    r"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    r"|I0000 .* MLIR V1 optimization pass is not enabled"
)


def with_native_logs():
    """Returns the environment without what the tests themselves set to have quiet logs."""
    return {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


def what_else(stderr):
    """Returns the lines that are not among those of a job where nothing is wrong."""
    return [line for line in stderr.splitlines() if not ALL_THAT_A_JOB_SAYS.fullmatch(line)]


@pytest.fixture(name="finished", scope="module")
def finished_job(census, tmp_path_factory):
    """A job's directory, and the process that ran it."""
    job = tmp_path_factory.mktemp("finished") / "job"
    return job, run_program(*job_flags(census, job, "--max_steps=10"), env=with_native_logs())


def test_a_job_prints_where_everything_lies_and_exits_with_0(finished):
    job, result = finished
    assert result.returncode == 0, result.stderr
    assert re.search(r"^evaluation  accuracy 0\.\d{4}, auc 0\.5000", result.stdout, re.M)
    assert re.search(
        rf"^export      {job}/export/\d+ \(100 rows through 5 signatures", result.stdout, re.M
    )
    assert f"tensorboard --logdir={job}" in result.stdout
    assert "600 training rows, 200 evaluation rows, 14 features" in result.stderr


def test_a_job_says_what_is_ours_and_one_line_about_the_notices(finished):
    _, result = finished
    last = result.stderr.splitlines()[-1]
    assert what_else(result.stderr) == [last]
    assert re.fullmatch(
        r"\d+ deprecation notices of TensorFlow's about its own Estimator and Keras code left out; "
        r"--tf_verbosity=info shows them",
        last,
    )


def interrupt(census, job, signum, code):
    """Starts an endless job and sends it a signal while it trains; returns the step of the checkpoint it says."""
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
    return int(step[1])


def resume(census, job, step, *flags):
    """Trains for one step more; returns what the program wrote on standard error."""
    resumed = run_program(
        *job_flags(census, job, f"--max_steps={step + 1}", *flags), env=with_native_logs()
    )
    assert resumed.returncode == 0, resumed.stderr
    assert f"trained     to step {step + 1} in" in resumed.stdout
    return resumed.stderr


def test_sigterm_writes_a_checkpoint_says_so_and_the_next_start_goes_on(census, tmp_path):
    step = interrupt(census, tmp_path / "job", signal.SIGTERM, 143)
    said = resume(census, tmp_path / "job", step, "--tf_verbosity=error")
    # Who wants errors alone gets no line about the notices either.
    assert what_else(said) == []


def test_so_does_ctrl_c_and_info_shows_tensorflows_account_and_every_notice(census, tmp_path):
    step = interrupt(census, tmp_path / "job", signal.SIGINT, 130)
    said = resume(census, tmp_path / "job", step, "--tf_verbosity=info")
    assert re.search(rf"^I.*\] loss = [\d.]+, step = {step}$", said, re.M)
    assert re.search(r"^W.*\] From .* is deprecated and will be removed", said, re.M)
    assert "left out" not in said
    assert "rebuild TensorFlow with the appropriate compiler flags" not in said


def test_wrong_request_ends_with_2_and_debug_shows_the_native_libraries_too(census, tmp_path):
    flags = job_flags(census, tmp_path / "job", "--tf_verbosity=debug", "--schema=missing.pbtxt")
    result = run_program(*flags, env=with_native_logs())
    assert result.returncode == 2
    assert "error: Cannot read the schema missing.pbtxt" in result.stderr
    assert "rebuild TensorFlow with the appropriate compiler flags" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "job").exists()


# Runs several command lines in one process, because each of its own would import TensorFlow.
SEVERAL = """
import json, sys
from absl import flags
from absl.testing import flagsaver
from estimator_app import main
import estimator_app.flags

for arguments in json.loads(sys.argv[1]):
    with flagsaver.flagsaver():
        try:
            code = main.main(flags.FLAGS(["estimator-train", *arguments])[1:])
        except SystemExit as end:
            code = end.code
    print("exit", code, file=sys.stderr, flush=True)
"""

MISTAKES = [
    (["--train_data=nothing*.csv"], 2, "nothing*.csv"),
    (["--label_column=incomme"], 2, "has no label column 'incomme'. Its columns are: age,"),
    (["--model=dnm"], 2, "Unknown model 'dnm'. Known models:"),
    (
        ["--model=dnn", "--optimizer=sgd", "--learning_rate=1e30"],
        1,
        "Expected a finite loss, found NaN. Lower --learning_rate",
    ),
]


def test_mistakes_end_with_one_sentence(census, tmp_path):
    requests = [
        job_flags(census, tmp_path / f"job{number}", *changes)
        for number, (changes, _, _) in enumerate(MISTAKES)
    ]
    result = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(requests)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    answers = re.findall(r"^error: (.*)\nexit (\d)$", result.stderr, re.M)
    assert len(answers) == len(MISTAKES), result.stderr
    for number, (_, code, sentence) in enumerate(MISTAKES):
        assert sentence in answers[number][0]
        assert int(answers[number][1]) == code
        assert (tmp_path / f"job{number}").exists() == (code == 1)


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
