"""The pages name what there is: a model or a format that is added is added there too."""

import pathlib
import re

from estimator_app.models import registry
from input_fns import formats

_ROOT = pathlib.Path(__file__).parents[1]


def page(name: str) -> str:
    return (_ROOT / name).read_text(encoding="utf-8")


def test_every_model_is_in_the_tables():
    for name in ("README.md", "docs/models.md"):
        named = set(re.findall(r"`([^`\n]+)`", page(name).replace("```", "")))
        assert set(registry.MODELS) <= named, name


def test_every_format_is_in_the_table_with_its_endings():
    text = page("docs/formats.md")
    for name, entry in formats.FORMATS.items():
        assert re.search(rf"`{name}`|--format={name}\b", text), name
        for ending in entry.endings:
            assert ending in text, (name, ending)


def test_pages_link_to_what_is_there():
    for path in [_ROOT / "README.md", *(_ROOT / "docs").glob("*.md")]:
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", page(path)):
            linked = (path.parent / target).resolve() if target else path
            assert linked.exists(), (path.name, target)
            if anchor and linked.suffix == ".md":
                titles = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}
                assert anchor in anchors, (path.name, target, anchor)
