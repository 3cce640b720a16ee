"""Queries on the command line, and what a job keeps of a database's URL."""

from absl import flags as absl_flags
from absl.testing import flagsaver

from estimator_app import flags, run


def test_queries_come_through_and_no_password_is_kept():
    url = "postgresql://me:secret@host/db"
    with flagsaver.flagsaver():
        absl_flags.FLAGS.unparse_flags()
        absl_flags.FLAGS(
            [
                "estimator-train",
                "--model_dir=m",
                "--label_column=y",
                f"--train_data={url}",
                "--train_query=SELECT 1, 2",
                "--eval_data=mysql://me:secret@host/db",
                "--eval_query=SELECT 3",
            ]
        )
        settings = flags.settings_from_flags(absl_flags.FLAGS)
    assert (settings.input.train_data, settings.input.train_query) == (url, "SELECT 1, 2")
    kept = settings.as_dict()["input"]
    assert kept["train_data"] == "postgresql://me:***@host/db"
    asked = run._asked(settings)
    assert (asked["eval_data"], asked["eval_query"]) == ("mysql://me:***@host/db", "SELECT 3")
    assert (kept["train_query"], kept["eval_query"]) == ("SELECT 1, 2", "SELECT 3")
