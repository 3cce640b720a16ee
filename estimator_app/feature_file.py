"""The file of `--features` as nested values that know their lines; what they mean is `models.feature_config`'s."""

from __future__ import annotations

from typing import Any

import yaml

from input_fns import errors


class Mapping(dict[str, Any]):
    """A mapping of the file; `lines` has the line of each key, `line` its own, from 1."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class Sequence(list[Any]):
    """A list of the file; `line` is its own, from 1."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def read(path: str) -> Mapping:
    """Returns what the file holds, empty for an empty file.

    Raises:
      SettingsError: it is not there, not YAML, no mapping, or names something twice.
    """
    try:
        with open(path, encoding="utf-8") as file:
            loader = yaml.SafeLoader(file.read())
            node = loader.get_single_node()
            found = _to_value(path, node, loader) if node else Mapping(1)
    except (OSError, UnicodeDecodeError) as error:
        raise errors.SettingsError(
            f"Expected --features={path} to be a YAML file on features, found: {error}. Correct the path."
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise errors.SettingsError(
            f"{path}{where}: expected YAML, found: {reason}. Correct the line; text with a ':' or '#' takes quotes."
        ) from error
    if not isinstance(found, Mapping):
        raise errors.SettingsError(
            f"{path}: expected features by name, such as 'age: numeric', found {type(found).__name__.lower()}. Begin "
            "each line with a feature's name and a colon."
        )
    return found


def _to_value(path: str, node: yaml.Node, loader: yaml.SafeLoader) -> Any:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        items = Sequence(line)
        items.extend(_to_value(path, item, loader) for item in node.value)
        return items
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    found = Mapping(line)
    for key, value in node.value:
        # The key's own text: YAML would make False of a feature called "no".
        name, at = str(key.value), key.start_mark.line + 1
        if name in found:
            raise errors.SettingsError(
                f"{path}, line {at}: expected '{name}' once, found it in line {found.lines[name]} as well. Remove one."
            )
        found[name] = _to_value(path, value, loader)
        found.lines[name] = at
    return found
