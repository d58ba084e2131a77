"""Regular expressions that mean the same to Python as to Prometheus and Alertmanager (RE2), at a bounded cost.

RE2 matches in linear time whatever the expression is. Python's engine does not: thirty a's keep ``(a+)+b`` busy for
ever. So an expression whose worst case is not small is refused here as well.
"""

import re
from functools import lru_cache

from sre_platform.kernel.errors import Malformed

LONGEST = 1000  # characters of an expression
# RE2 has no look-around, no back-references, no atomic groups and no possessive repeats; Python has.
NOT_RE2 = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?!:|[imsU-]+[):]|P<)|\\[1-9]|[*+?}]\+|\\Z)")
# What both take and read differently: POSIX classes, {,3}, \u00e4, \N{...}, escaped letters beyond ASCII.
_READ_DIFFERENTLY = re.compile(r"\[\^?\[|\{,\d*\}|(?<!\\)(?:\\\\)*\\(?:[uUN]|[^\x00-\x7f])")
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[imsU-]+\)|\(\?(?:P<\w+>|[imsU-]*:)|.", re.DOTALL)
_REPEAT = re.compile(r"(?:([*+])|(\?)|\{(\d+)(,?)(\d*)\})\??")
_REPEAT_COST, _OPTION_COST, _MOST = 5, 1, 19  # three repeats and four options: milliseconds for the longest value
_MOST_TIMES = 1000  # RE2's own bound


@lru_cache(maxsize=2048)
def compile_re2(text: str) -> re.Pattern[str]:
    """``text`` compiled, to be used with ``fullmatch``. Raises Malformed with one sentence that says what is wrong."""
    if len(text) > LONGEST:
        raise Malformed(f"A regular expression may have {LONGEST} characters, this one has {len(text)}.")
    if NOT_RE2.search(text) or _READ_DIFFERENTLY.search(text):
        raise Malformed(f"The regular expression {text!r} uses what RE2 does not have or reads differently.")
    if "(?i" in text and not text.isascii():
        raise Malformed(f"The regular expression {text!r} folds the case of letters that are not ASCII.")
    try:
        compiled = re.compile(text, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise Malformed(f"The regular expression {text!r} does not compile: {error}.") from None
    _check_cost(text)
    return compiled


class _Group:
    """What stands between two parentheses, so far: the cost of its dearest branch, and whether anything may vary."""

    def __init__(self) -> None:
        self.branch = self.dearest = 0
        self.varies = False

    def close(self) -> int:
        return max(self.branch, self.dearest)


def _check_cost(text: str) -> None:
    """Raises Malformed for a repeated group that itself may vary, and for too many repeats one after the other."""
    groups, at = [_Group()], 0
    while match := _TOKEN.match(text, at):
        sign, at = match[0], match.end()
        atom = _entered_or_left(groups, sign)
        if atom is not None and (repeat := _REPEAT.match(text, at)):
            at = repeat.end()
            _repeated(groups[-1], atom, repeat, text)
        elif atom is not None:
            groups[-1].branch += atom.close()
            groups[-1].varies |= atom.varies
    if groups[0].close() > _MOST:
        raise Malformed(f"The regular expression {text!r} has more than three repeats one after the other.")


def _entered_or_left(groups: list[_Group], sign: str) -> _Group | None:
    """The atom that ends with ``sign``, None when none does."""
    if sign == "|":
        groups[-1].dearest, groups[-1].branch, groups[-1].varies = groups[-1].close(), 0, True
    elif sign == "(" or (sign.startswith("(?") and sign[-1] in ":>"):
        groups.append(_Group())
    elif sign == ")":
        return groups.pop()
    else:
        return _Group()
    return None


def _repeated(into: _Group, atom: _Group, repeat: re.Match[str], text: str) -> None:
    _star, option, least, comma, most = repeat.groups()
    if not option and atom.varies:
        raise Malformed(f"The regular expression {text!r} repeats a group that holds a repeat or a choice itself.")
    if max(int(least or 0), int(most or 0)) > _MOST_TIMES:
        raise Malformed(f"The regular expression {text!r} repeats more than {_MOST_TIMES} times.")
    fixed = least and not comma
    into.branch += atom.close() + (0 if fixed else _OPTION_COST if option else _REPEAT_COST)
    into.varies |= atom.varies or not fixed
