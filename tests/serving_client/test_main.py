"""estimator-query as a program of its own, against a real gRPC server."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import grpc
import pytest

from serving_client import main, query_settings, settings, wire
from tests.serving_client import certificates, fake_server

ROOT = pathlib.Path(__file__).resolve().parents[2]
CSV = "age,hours,job,label\n30,10,a,yes\n40,15.5,b,no\n50,0,c,no\n"
JSONL = (
    '{"age": 30, "hours": 10, "job": "a"}\n'
    '{"age": 40, "hours": 15.5, "job": "b"}\n'
    '{"age": 50, "hours": 0, "job": "c"}\n'
)
SCORES = [35.0, 47.75, 50.0]
IGNORED = "note: signature 'tensors:predict' does not take label.\n"


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
    """Returns what the program did."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "serving_client.main", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )


def outputs(text: str) -> list[dict]:
    """Returns the outputs of JSON lines, whose rows are numbered from 1."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["row"] for line in lines] == list(range(1, len(lines) + 1))
    return [line["outputs"] for line in lines]


@pytest.fixture
def ask(address, tmp_path):
    """Asks for the rows of a file of some text; returns what the program did."""

    def ask(name: str, text: str, *flags: str) -> subprocess.CompletedProcess:
        path = tmp_path / name
        path.write_text(text)
        server = [f"--server={address}", f"--model={fake_server.MODEL}"]
        return run(*server, f"--input={path}", *flags)

    return ask


@pytest.mark.parametrize("name, text, note", [("a.csv", CSV, IGNORED), ("a.jsonl", JSONL, "")])
def test_rows_are_sent_as_plain_tensors_and_answers_printed(ask, model, name, text, note):
    done = ask(name, text, "--batch_size=2", "--concurrency=1")
    assert (done.returncode, done.stderr) == (0, note)
    assert outputs(done.stdout) == [
        {"score": [score], "text": job} for score, job in zip(SCORES, "abc")
    ]
    requests = model.asked(wire.PredictRequest)
    assert [request.model_spec.signature_name for request in requests] == ["tensors:predict"] * 2
    assert [wire.to_array(request.inputs["age"]).tolist() for request in requests] == [
        [30, 40],
        [50],
    ]


def test_examples_are_sent_where_the_columns_do_not_cover_the_tensors(ask, model):
    del model.signatures["tensors:predict"]
    done = ask("a.csv", CSV.replace("10,", "10.0,").replace(",0,", ",0.,"))
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["score"] for row in outputs(done.stdout)] == [[score] for score in SCORES]
    (request,) = model.asked(wire.PredictRequest)
    assert request.model_spec.signature_name == "predict"


def examples(model) -> list[dict]:
    """Returns (kind of list, values) by feature, of each Example that Predict was asked with."""
    found = []
    for request in model.asked(wire.PredictRequest):
        for one in wire.to_array(request.inputs["examples"]):
            features = wire.Example.FromString(one).features.feature
            kinds = {name: features[name].WhichOneof("kind") for name in features}
            found.append(
                {
                    name: (kind, list(getattr(features[name], kind).value))
                    for name, kind in kinds.items()
                    if kind is not None  # of an empty list
                }
            )
    return found


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.csv", "age,hours,job,label\n 39.0 ,10,12,7\n"),
        ("a.jsonl", '{"age": 39.0, "hours": 10, "job": "12", "label": 7}\n'),
    ],
)
def test_examples_hold_what_the_plain_signature_takes(ask, model, name, text):
    done = ask(name, text, "--signature_name=predict")
    assert (done.returncode, done.stderr) == (0, "")
    assert examples(model) == [
        {
            "age": ("int64_list", [39]),
            "hours": ("float_list", [10.0]),
            "job": ("bytes_list", [b"12"]),
            "label": ("int64_list", [7]),  # no signature takes it
        }
    ]


def test_types_of_examples_are_guessed_where_signatures_do_not_say_them(ask, model):
    vector = fake_server.tensor_info("DT_FLOAT", [-1, 2])
    plain = {
        "age": fake_server.tensor_info("DT_STRING", [-1]),
        "hours": vector,
        "job": fake_server.tensor_info("DT_COMPLEX64", [-1]),
    }
    model.signatures["other"] = fake_server.signature("predict", plain, {"y": vector})
    del model.signatures["tensors:predict"].inputs["hours"]
    done = ask("a.csv", "age,hours,job\n39,10.0,a\n", "--signature_name=predict")
    assert (done.returncode, done.stderr) == (0, "")
    assert examples(model) == [
        {
            "age": ("int64_list", [39]),
            "hours": ("float_list", [10.0]),
            "job": ("bytes_list", [b"a"]),
        }
    ]


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.csv", 'age,hours,job\n39,"[1, 2.5]","[""a"", ""b""]"\n40,7,c\n41,[],[]\n'),
        (
            "a.jsonl",
            '{"age": 39, "hours": [1, 2.5], "job": ["a", "b"]}\n'
            '{"age": 40, "hours": [7], "job": ["c"]}\n{"age": 41, "hours": [], "job": []}\n',
        ),
    ],
)
def test_lists_of_any_length_are_sent_as_examples(ask, model, name, text):
    plain = model.signatures["tensors:predict"].inputs
    plain["hours"].CopyFrom(fake_server.tensor_info("DT_FLOAT", [-1, -1]))
    plain["job"].CopyFrom(fake_server.tensor_info("DT_STRING", [-1, -1]))
    done = ask(name, text)
    assert "note" not in done.stderr
    assert examples(model) == [
        {
            "age": ("int64_list", [39]),
            "hours": ("float_list", [1.0, 2.5]),
            "job": ("bytes_list", [b"a", b"b"]),
        },
        {
            "age": ("int64_list", [40]),
            "hours": ("float_list", [7.0]),
            "job": ("bytes_list", [b"c"]),
        },
        {"age": ("int64_list", [41])},
    ]


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.csv", "age,hours,job,label\n30,1,,\n40, ,b,x\n"),
        (
            "a.jsonl",
            '{"age": 30, "hours": 1, "job": null}\n'
            '{"age": 40, "hours": null, "job": "b", "label": "x"}\n',
        ),
    ],
)
def test_empty_cells_are_left_out_of_examples(ask, model, name, text):
    ask(name, text, "--signature_name=predict")  # the fake model has no defaults
    first, second = examples(model)
    assert first == {"age": ("int64_list", [30]), "hours": ("float_list", [1.0])}
    assert sorted(second) == ["age", "job", "label"]


def test_cell_of_an_example_that_does_not_fit_is_named(ask, model, tmp_path):
    for cell, reason in [("39.5", "39.5 does not fit"), ("x", "it is no number")]:
        text = f"age,hours,job\n1,2,a\n{cell},2,a\n"
        done = ask("a.csv", text, "--signature_name=classification")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"error: {tmp_path}/a.csv, row 2, column age: '{cell}' is not int64 ({reason}).\n"
        )
    assert not model.asked(wire.ClassificationRequest)


def test_classification_signature_is_asked_with_classify(ask, model):
    text = '{"age": 30, "hours": 10.5, "job": "a"}\n'
    done = ask("b.jsonl", text, "--signature_name=classification", "--version=3")
    assert (done.returncode, done.stderr) == (0, "")
    assert outputs(done.stdout) == [{"classes": ["no", "yes"], "scores": [64.75, 35.25]}]
    assert model.asked(wire.ClassificationRequest)[-1].model_spec.version.value == 3


def test_regression_signature_is_asked_with_regress(ask, model, tmp_path):
    text = '{"age": 30, "hours": 10.5, "job": "a"}\n'
    out = tmp_path / "out.csv"
    flags = ["--signature_name=regression", "--version_label=stable", f"--output={out}"]
    done = ask("a.jsonl", text, *flags)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"note: 1 rows answered, written to {out}.\n"
    assert out.read_text() == "row,outputs\n1,35.25\n"
    assert model.asked(wire.RegressionRequest)[-1].model_spec.version_label == "stable"


def test_standard_input_is_read(address):
    server = [f"--server={address}", f"--model={fake_server.MODEL}"]
    done = run(*server, "--input=-", "--format=jsonl", stdin=JSONL)
    assert [row["score"][0] for row in outputs(done.stdout)] == SCORES


def test_nested_lists_and_vectors_of_one_take_the_shape_of_the_signature(ask, model):
    score = {"score": fake_server.tensor_info("DT_FLOAT", [-1, 1])}
    inputs = {
        "age": fake_server.tensor_info("DT_INT64", [-1, 1]),
        "hours": fake_server.tensor_info("DT_FLOAT", [-1, 1]),
        "job": fake_server.tensor_info("DT_STRING", [-1, 2]),
    }
    model.signatures = {"tensors:predict": fake_server.signature("predict", inputs, score)}
    done = ask("a.jsonl", '{"age": 1, "hours": [2], "job": ["x", "y"]}\n')
    assert done.returncode == 0, done.stderr
    (request,) = model.asked(wire.PredictRequest)
    shapes = {name: wire.to_array(tensor).shape for name, tensor in request.inputs.items()}
    assert shapes == {"age": (1, 1), "hours": (1, 1), "job": (1, 2)}


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        (
            "a.csv",
            "age,hours,job\n30,10,a\nx1,5,b\n",
            "row 2, column age: 'x1' is not int64 (it is no number).",
        ),
        (
            "a.csv",
            "age,hours,job\n3.5,10,a\n",
            "row 1, column age: '3.5' is not int64 (3.5 does not fit).",
        ),
        (
            "a.csv",
            "age,hours,job\n3,,a\n",
            "row 1, column hours: '' is not float32 (an empty cell has no value as a plain tensor; "
            "with --signature_name=predict a row may leave out features that have a default).",
        ),
        (
            "a.jsonl",
            '{"age": "30", "hours": 1, "job": "a"}\n',
            "row 1, column age: '30' is not int64 ('30' is not a number).",
        ),
        (
            "a.jsonl",
            '{"age": 3, "hours": 1, "job": 5}\n',
            "row 1, column job: 5 is not string (A string tensor holds text or bytes; got 5).",
        ),
        (
            "a.jsonl",
            '{"age": 3, "hours": 1, "job": "a"}\n{"age": 3, "job": "a"}\n',
            "row 2: column hours is missing.",
        ),
        (
            "a.jsonl",
            '{"age": 3, "hours": 1, "job": "a"}\n{"age": [1, 2], "hours": 2, "job": "a"}\n',
            "rows 1 to 2, column age: values of different shapes ([2], []) cannot be sent together; "
            "use --batch_size=1.",
        ),
    ],
)
def test_bad_value_is_named_by_file_row_column_and_value(ask, tmp_path, name, text, sentence):
    done = ask(name, text)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path / name}, {sentence}\n"


def test_repeated_column_is_refused(ask, tmp_path):
    done = ask("a.csv", "age,hours,job,age\n30,1,a,40\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {tmp_path}/a.csv names 'age' more than once in its header. Rename or remove the "
        "columns that repeat.\n"
    )


def test_empty_cell_names_the_counterpart_of_the_signature(ask, model):
    model.signatures["tensors:classification"] = model.signatures["tensors:predict"]
    done = ask("a.csv", "age,hours,job\n,1,a\n", "--signature_name=tensors:classification")
    assert done.returncode == 2
    assert "with --signature_name=classification a row may leave out" in done.stderr


def test_empty_cell_of_a_model_without_examples_has_no_such_advice(ask, model, tmp_path):
    model.signatures = {"tensors:predict": model.signatures["tensors:predict"]}
    done = ask("a.csv", "age,hours,job\n3, ,a\n")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {tmp_path}/a.csv, row 1, column hours: ' ' is not float32 (the value is empty).\n"
    )


def test_missing_columns_are_named(ask):
    done = ask("a.csv", "age,label\n1,yes\n", "--signature_name=tensors:predict")
    assert done.returncode == 2
    assert done.stderr == (
        "error: The input lacks columns that signature 'tensors:predict' takes: hours, job; it has "
        "age, label.\n"
    )


def test_falling_back_to_examples_says_which_columns_are_missing(ask):
    done = ask("a.csv", "age,hours\n1,2.0\n", "--batch_size=1")
    assert done.stderr.startswith(
        "note: the input lacks job for signature 'tensors:predict'; rows are sent as tf.Examples to "
        "signature 'predict'.\n"
    )


def test_unknown_signature_lists_known_ones(ask):
    done = ask("a.csv", CSV, "--signature_name=predcit")
    assert done.returncode == 2
    assert done.stderr == (
        "error: Model 'half', version 7, has no signature 'predcit'; it has classification, "
        "predict, regression, serving_default, tensors:predict.\n"
    )


def test_failure_in_the_first_batch_leaves_no_file(ask, tmp_path):
    done = ask("a.csv", CSV.replace("50,0", "5x,0"), f"--output={tmp_path / 'out.jsonl'}")
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_refusal_of_the_server_is_a_wrong_request_and_its_failure_is_not(ask, model):
    model.refusals = [(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(half)")]
    done = ask("a.csv", CSV)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Servable not found for request: Latest(half); check the name" in done.stderr
    model.refusals = [(grpc.StatusCode.INTERNAL, "out of luck")]
    done = ask("a.csv", CSV)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("failed on the request for model 'half' (INTERNAL): out of luck.\n")


def test_load_test_prints_throughput_and_latencies_instead_of_answers(ask, model):
    flags = ["--load_test", "--load_test_secs=0.2", "--concurrency=2", "--batch_size=1"]
    done = ask("a.csv", CSV, *flags)
    assert (done.returncode, done.stderr) == (0, IGNORED)
    requests, throughput, latency = done.stdout.splitlines()
    assert "answered, 0 failed in 0." in requests and requests.endswith(" s, 2 at a time")
    assert 2 + int(requests.split()[1]) == len(model.asked(wire.PredictRequest))  # 2 go before
    assert throughput.split()[1] == throughput.split()[3]  # a row a request
    names = [part.split()[0] for part in latency.removeprefix("latency, ms").split(",")]
    assert names == ["mean", "p50", "p90", "p95", "p99", "p99.9", "max"]


def test_rows_without_an_answer_end_with_a_sentence_and_1(ask, tmp_path):
    failures, out = tmp_path / "f.jsonl", tmp_path / "out.csv"
    flags = [f"--failures={failures}", f"--output={out}", "--key=label,age", "--output_filter=text"]
    done = ask("a.csv", CSV.replace("40,", "4x,"), *flags)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"note: 2 rows answered, written to {out}.\n"
        f"error: 1 of 3 rows could not be answered; the reasons are in {failures}.\n"
    )
    assert out.read_text() == "row,label,age,text\n1,yes,30,a\n3,no,50,c\n"
    assert json.loads(failures.read_text())["values"]["age"] == "4x"


def test_status_prints_a_line_a_version(address):
    done = run(f"--server={address}", f"--model={fake_server.MODEL}", "--status")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "half version 7: AVAILABLE\nhalf version 6: END  error 5: no saved_model.pb\n"
    )


def test_metadata_prints_the_signatures(address):
    done = run(f"--server={address}", f"--model={fake_server.MODEL}", "--metadata")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "half version 7\n\nclassification  (tensorflow/serving/classify)\n"
    )
    assert done.stdout.endswith(
        "tensors:predict  (tensorflow/serving/predict)\n"
        "  in   age: int64 [?]\n"
        "  in   hours: float32 [?]\n"
        "  in   job: string [?]\n"
        "  out  score: float32 [?, 1]\n"
        "  out  text: string [?]\n"
    )


def test_server_that_does_not_answer_is_named_with_the_deadline(dead_address):
    done = run(f"--server={dead_address}", "--model=m", "--status", "--timeout_secs=0.5")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: No server answers at {dead_address} (deadline 0.5 s): ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--model=m"], "--server is required. Run estimator-query --help for the list of flags."),
        (
            ["--server=a:1"],
            "--model is required. Run estimator-query --help for the list of flags.",
        ),
        (["--server=a:1", "--model=m"], "--input is required, or one of --status and --metadata."),
        (
            ["--server=a:1", "--model=m", "--input=x.csv", "--batch_size=0"],
            "--batch_size must be 1 or more; got 0.",
        ),
        (
            ["--server=a:1", "--model=m", "--input=x.csv", "--concurrency=0"],
            "--concurrency must be 1 or more; got 0.",
        ),
        (
            ["--server=a:1", "--model=m", "--input=x.csv", "--retry_secs=-1"],
            "--retry_secs must be 0 or more; got -1.0.",
        ),
        (
            ["--server=a:1", "--model=m", "--input=x.csv", "--output=y.parquet"],
            "'y.parquet' does not end in .csv or .jsonl (or .csv.gz, .jsonl.gz); answers are",
        ),
        (
            ["--server=a:1", "--model=m", "--input=x.csv", "--failures=y.csv"],
            "--failures is written as JSON lines; got 'y.csv'. Let its name end in .jsonl or",
        ),
        (
            [
                "--server=a:1",
                "--model=m",
                "--input=x.csv",
                "--failures=y.jsonl",
                "--output=y.jsonl",
            ],
            "--failures and --output must be two files; got one.",
        ),
        (
            ["--server=a:1", "--model=m", "--load_test"],
            "--load_test asks the rows of a file; --input is required.",
        ),
        (
            ["--server=a:1", "--model=m", "--input=x.csv", "--load_test", "--load_test_secs=0"],
            "--load_test_secs must be above 0; got 0.0.",
        ),
        (
            ["--server=a:1", "--model=m", "--status", "--version=1", "--version_label=b"],
            "Give --version or --version_label, not both.",
        ),
        (
            ["--server=a:1", "--model=m", "--input=x.txt"],
            "'x.txt' does not end in .csv, .jsonl (or .csv.gz, .jsonl.gz) or .parquet; say what it is "
            "with --format.",
        ),
        (
            ["--server=a:1", "--model=m", "--status", "--timeout_secs=0"],
            "timeout_secs must be above 0",
        ),
        (
            ["--server=a:1", "--model=m", "--status", "x"],
            "unexpected argument 'x'; every setting is",
        ),
        (["--verison=1"], "Unknown command line flag 'verison'."),
        (["--version=x"], "flag --version=x: invalid literal for int()"),
        (["--flagfile=/nonexist"], "Unable to open flagfile: [Errno 2] No such file"),
        (["--format=xml"], "flag --format=xml: value should be one of <csv|jsonl|parquet>"),
    ],
)
def test_wrong_flags_are_refused_with_one_sentence(flags, sentence):
    done = run(*flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {sentence}")
    assert done.stderr.count("\n") == 1


def test_interrupt_ends_the_program_with_130_and_leaves_no_file(address, model, tmp_path):
    path, out = tmp_path / "a.csv", tmp_path / "out.jsonl"
    path.write_text(CSV)
    model.hold.clear()
    flags = [f"--server={address}", f"--model={fake_server.MODEL}", f"--input={path}"]
    program = [sys.executable, "-m", "serving_client.main", *flags, f"--output={out}"]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert model.arrived.wait(timeout=60)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "error: interrupted.\n")
    assert list(tmp_path.iterdir()) == [path]


def test_reader_that_has_enough_is_no_error(address, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(JSONL * 2000)
    flags = [f"--server={address}", f"--model={fake_server.MODEL}", f"--input={path}"]
    program = [sys.executable, "-m", "serving_client.main", *flags, "--batch_size=1000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(program, text=True, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline().startswith('{"row": 1,')
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_missing_input_file_is_named(address, tmp_path):
    server = [f"--server={address}", f"--model={fake_server.MODEL}"]
    done = run(*server, f"--input={tmp_path}/none.csv")
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}/none.csv cannot be read: No such file or directory.\n"
    (tmp_path / "empty.csv").write_text("age\n")
    done = run(*server, f"--input={tmp_path}/empty.csv")
    assert (done.returncode, done.stderr) == (2, f"error: {tmp_path}/empty.csv has no rows.\n")


def test_help_lists_every_flag_by_group_without_tensorflow():
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    defined = {flag.name for flags in main.FLAGS.flags_by_module_dict().values() for flag in flags}
    assert defined == {name for names in main._GROUPS.values() for name in names}
    for name in defined:
        assert f"\n  --{name}" in done.stdout
    program = "import sys, serving_client.main; print('tensorflow' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert loaded.stdout == "False\n"


def test_connection_is_what_its_flags_say(tmp_path):
    certificate = certificates.make(tmp_path)
    tls = certificate.tls(with_own=True)
    model = fake_server.FakeModel()
    files = {"ca_file": tls.ca_file, "cert_file": tls.cert_file, "key_file": tls.key_file}
    with fake_server.serve(model, certificate.server_credentials(client_verify=True)) as address:
        done = run(
            *(f"--server={address},{address}", f"--model={fake_server.MODEL}", "--status"),
            *(f"--{name}={path}" for name, path in files.items()),
            f"--tls_server_name={tls.server_name}",
            *("--header=authorization: Bearer a:b", "--header=team:x", "--compression=gzip"),
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{fake_server.MODEL} version 7: AVAILABLE\n")
    [headers] = model.headers
    assert (headers["authorization"], headers["team"]) == ("Bearer a:b", "x")


@pytest.mark.parametrize(
    "flag, sentence",
    [
        ("--header=team", "--header must be 'name: value'; got 'team'."),
        ("--key_file=setup.cfg", "key_file needs cert_file; got none."),
        ("--ca_file=gone.pem", "ca_file must be a file that can be read; got 'gone.pem'"),
    ],
)
def test_wrong_connections_are_refused_with_a_sentence(flag, sentence):
    done = run("--server=localhost:1", "--model=m", "--status", flag)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {sentence}")


def test_a_reader_that_leaves_is_no_failure():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "serving_client.main", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_defaults_of_flags_are_those_of_the_settings():
    assert main.FLAGS["timeout_secs"].default == settings.ClientSettings.timeout_secs
    defaults = query_settings.QuerySettings
    for name in ("batch_size", "concurrency", "output", "resume", "retry_secs"):
        assert main.FLAGS[name].default == getattr(defaults, name)
