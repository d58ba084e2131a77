"""YAML as people write it: whatever is wrong with it is Malformed, and no key may stand in one block twice."""

from typing import Any

import yaml

from sre_platform.kernel.errors import Malformed

# PyYAML's constructors let Python's own errors through: for the date 2020-99-99, the number 0x_, the text !!int ''.
_WRONG = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def read_yaml(text: str, source: str) -> tuple[Any, yaml.Node | None]:
    """The document of ``text``, and its node, which knows the lines. Raises Malformed, naming ``source``."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except RecursionError as error:
        raise Malformed(f"{source} is nested too deeply.") from error
    except _WRONG as error:
        raise Malformed(f"{source} is not YAML: {' '.join(str(error).split())}") from error
    if twice := _repeated_key(node):
        raise Malformed(f"{source}:{twice.start_mark.line + 1}: the key {twice.value!r} is there twice")
    return document, node


def _repeated_key(root: yaml.Node | None) -> yaml.ScalarNode | None:
    """The first key that its block has had before: YAML would silently keep the last one only."""
    todo, done = [root], set()
    while todo:
        node = todo.pop()
        if id(node) in done:  # an alias shows the same node again
            continue
        done.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            names = [key.value for key in keys]
            for at, key in enumerate(keys):
                if key.value in names[:at]:
                    return key
            todo += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value
    return None
