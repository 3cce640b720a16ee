"""What the client imports is what its installation brings: `pip install '.[client]'`."""

import configparser
import json
import pathlib
import re

from tests import fresh_process

SETUP = pathlib.Path(__file__).resolve().parents[2] / "setup.cfg"
# package -> the module that it brings
NEEDED = {
    "absl-py": "absl",
    "grpcio": "grpc",
    "numpy": "numpy",
    "protobuf": "google",
    "tqdm": "tqdm",
}
# Imported by these where they find them.
OF_OTHERS = {"grpc_health", "grpc_reflection", "grpc_tools", "ml_dtypes", "typing_extensions"}


def stated(section: str, option: str) -> set[str]:
    """Returns the names of the packages that setup.cfg states."""
    config = configparser.ConfigParser()
    config.read(SETUP)
    return {re.split("[<>=]", line)[0] for line in config[section][option].split()}


def test_client_imports_what_is_stated_and_nothing_else():
    assert stated("options", "install_requires") == NEEDED.keys()
    assert stated("options.extras_require", "client") == {"pyarrow"}
    imported = json.loads(fresh_process.output("""
            import json, sys
            import serving_client.main

            files = {name.partition(".")[0]: getattr(module, "__file__", None) or ""
                     for name, module in list(sys.modules.items())}
            print(json.dumps([name for name, file in files.items() if "site-packages" in file]))
            """))
    installed = {name for name in imported if not name.startswith("_")}  # those begin the process
    assert installed - OF_OTHERS == set(NEEDED.values())
