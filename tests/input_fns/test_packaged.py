import gzip
import importlib.util
import pathlib
from types import ModuleType

import pytest

from input_fns import errors, inference, packaged
from input_fns import settings as settings_lib
from input_fns import sources

ROOT = pathlib.Path(__file__).parents[2]


def scan(name: str, role: str) -> inference.ScanResult:
    settings = settings_lib.InputSettings(data=name)
    return inference.scan(sources.open_source(settings, role), settings)


def test_the_census_split_is_uci_own() -> None:
    for role, low, high in (("train", 24720, 7841), ("eval", 12435, 3846)):
        found = scan("census", role)
        assert found.num_rows == low + high
        assert dict(found.statistics.column("income").top) == {"<=50K": low, ">50K": high}


def test_a_question_mark_is_a_census_category() -> None:
    vocabulary = scan("census", "train").schema.feature("workclass").vocabulary
    assert vocabulary is not None and "?" in vocabulary


def test_the_digits_have_ten_classes_and_a_shape() -> None:
    for role, rows in (("train", 6000), ("eval", 1000)):
        found = scan("mnist", role)
        assert found.num_rows == rows
        assert found.schema.num_classes == 10
        assert found.schema.feature("image").shape == (28, 28)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        errors.SettingsError, match="Unknown packaged data 'cencus'. Known: census, mn"
    ):
        packaged.find("cencus")


def test_the_packaged_files_say_whose_they_are() -> None:
    text = (ROOT / "input_fns" / "packaged_data" / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for name in (*packaged.DATA_SETS, "10.24432/C5XW20", "CC BY 4.0", "CC BY-SA 3.0"):
        assert name in text


@pytest.fixture
def script(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = ROOT / "scripts" / "make_packaged_data.py"
    spec = importlib.util.spec_from_file_location("make_packaged_data", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_OUT", str(tmp_path))
    return module


def test_the_packaged_files_are_what_the_script_makes(
    script: ModuleType, tmp_path: pathlib.Path
) -> None:
    parts = packaged.find("census").eval_files + packaged.find("census").train_files
    texts = [gzip.decompress(pathlib.Path(part).read_bytes()) for part in parts]
    whole = tmp_path / "whole.csv.gz"
    whole.write_bytes(gzip.compress(texts[0] + texts[1].split(b"\n", 1)[1]))
    script.make_census(str(whole))
    script.make_mnist(str(pathlib.Path(packaged.find("mnist").train_files[0]).parent))
    packaged_data = ROOT / "input_fns" / "packaged_data"
    for made in tmp_path.glob("*/*.gz"):
        # Compressed bytes may differ from one zlib to another.
        shipped = packaged_data / made.relative_to(tmp_path)
        assert gzip.decompress(made.read_bytes()) == gzip.decompress(shipped.read_bytes())
        assert made.read_bytes()[4:8] == b"\0" * 4
    assert len(list(tmp_path.glob("*/*.gz"))) == 6


def test_another_census_file_is_refused(script: ModuleType) -> None:
    with pytest.raises(SystemExit, match="has 16281 rows, expected 48842"):
        script.make_census(packaged.find("census").eval_files[0])
