"""A file asked in bulk while client and server are killed: programs of their own, as users run them."""

import collections
import csv
import pathlib
import signal
import subprocess
import sys
import time

from tests import running, saved_models

ROWS = 20_000


def start(server: running.RunningServer, path: pathlib.Path, *flags: str) -> subprocess.Popen:
    """Starts the client."""
    command = [sys.executable, "-m", "serving_client.main", f"--server={server.address}"]
    asked = ["--model=default", f"--input={path}", f"--output={path.parent}/out.csv", "--key=id"]
    return subprocess.Popen([*command, *asked, *flags], stderr=subprocess.PIPE, text=True)


def test_every_row_is_answered_once_though_client_and_server_are_killed(tmp_path):
    base = tmp_path / "model"
    saved_models.write_plain_model(base)
    path = tmp_path / "in.csv"
    path.write_text("id,x\n" + "".join(f"n{row},{row}\n" for row in range(ROWS)))
    with running.run_server(base) as server:
        with start(server, path, "--batch_size=1", "--concurrency=1") as client:
            end = time.monotonic() + 60
            while not (tmp_path / ".out.csv.progress").exists() and time.monotonic() < end:
                assert client.poll() is None, client.stderr.read()
                time.sleep(0.01)
            client.kill()
        assert not (tmp_path / "out.csv").exists()

        # Thousands of requests, one after the other: seconds, in which the server can be killed.
        with start(server, path, "--batch_size=5", "--concurrency=1") as client:
            told = [client.stderr.readline()]
            client.send_signal(signal.SIGSTOP)
            assert not (tmp_path / "out.csv").exists()  # most rows are still to be asked
            server.process.kill()
            server.process.wait()
            client.send_signal(signal.SIGCONT)
            # The next server comes when the client's own repetitions are at an end.
            while told[-1] and not told[-1].startswith("note: asking again: No server answers at"):
                told.append(client.stderr.readline())
            with running.run_server(base, f"--port={server.port}"):
                told += client.communicate(timeout=120)[1].splitlines(keepends=True)
    assert told[0].startswith("note: going on after row "), told
    assert any(line.startswith("note: asking again: No server answers at") for line in told), told
    assert told[-1] == f"note: {ROWS} rows answered, written to {tmp_path}/out.csv.\n"
    assert client.returncode == 0
    with open(tmp_path / "out.csv", newline="") as text:
        answers = [(row["id"], float(row["y_0"])) for row in csv.DictReader(text)]
    assert collections.Counter(answers) == {(f"n{row}", 2.0 * row): 1 for row in range(ROWS)}
    assert answers == [(f"n{row}", 2.0 * row) for row in range(ROWS)]
