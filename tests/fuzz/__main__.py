"""Fuzzes the server, its files and the client for a while, and writes what came of it.

python -m tests.fuzz --secs=300 --seed=1 --report=/tmp/fuzz
"""

import argparse
import collections
import json
import pathlib
import sys
import tempfile
import time

import psutil

import tests.conftest  # noqa: F401  (legacy Keras chosen before TensorFlow is imported)
from tests.fuzz import runs, targets

_ROUND = 200  # cases of a target before the next one's turn


def main() -> int:
    """Returns the exit code: 0, or 1 if something did not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--secs", type=float, default=60.0, help="how long, in seconds")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first round; each round adds one"
    )
    parser.add_argument(
        "--only", default="", help="targets to fuzz, with commas between; all if empty"
    )
    parser.add_argument(
        "--report", default="", help="directory for report.json and the cases found"
    )
    args = parser.parse_args()
    counts: collections.Counter[str] = collections.Counter()
    found: dict[str, tuple[bytes, str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        with targets.all_targets(folder, runs.write_models(folder)) as (server, everything):
            chosen = [
                each for each in everything if not args.only or each.name in args.only.split(",")
            ]
            process = psutil.Process(server.process.pid)
            for target in chosen:
                for path in runs.corpus(target):
                    target.check(path.read_bytes())
            before = process.memory_info().rss
            started, seed = time.monotonic(), args.seed
            while time.monotonic() < started + args.secs:
                for target in chosen:
                    tried, case, sentence = runs.run(target, _ROUND, seed)
                    counts[target.name] += tried
                    if case is not None:
                        found.setdefault(f"{target.name}: {sentence[:200]}", (case, sentence))
                seed += 1
            grown = process.memory_info().rss - before
            secs = time.monotonic() - started
            tracebacks = server.log.read_text().count("Traceback")
    for name, count in counts.items():
        print(f"{name:40} {count:9,} cases")
    print(f"{'all':40} {counts.total():9,} cases in {secs:.0f} s, seeds {args.seed} to {seed - 1}")
    print(
        f"memory of the server grew by {grown / 2**20:.1f} MiB; tracebacks in its log: {tracebacks}"
    )
    for name, (case, _) in found.items():
        print(f"FOUND {name}\n      {case!r}")
    if args.report:
        _write_report(pathlib.Path(args.report), counts, found, grown)
    return 1 if found or tracebacks else 0


def _write_report(
    folder: pathlib.Path,
    counts: collections.Counter[str],
    found: dict[str, tuple[bytes, str]],
    grown_bytes: int,
) -> None:
    """Writes `report.json`, and each case that was found as a file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for number, (name, (case, sentence)) in enumerate(found.items()):
        file = f"{name.partition(':')[0]}-{number}"
        (folder / file).write_bytes(case)
        files[file] = sentence
    report = {"cases": dict(counts), "memory_grown_bytes": grown_bytes, "found": files}
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
