"""The names under which pprof shows functions, and the frames that a profile asks to leave out.

Follows ``symbolizer.Demangle`` and ``Profile.RemoveUninteresting`` of google/pprof, with two limits: mangled names of
C++ and Rust stay as they are, and of regular expressions only words, ``.``, ``.*`` and ``|`` are understood (matched
in O(length of name x length of expression), as a profile may come from anywhere). An expression with more is ignored,
as there one that does not compile.
"""

import re
from dataclasses import replace
from typing import NamedTuple

from sre_platform.diagnosis.parsers.profile_model import Function, Location, Mapping, Profile, Sample

_SIGNS = re.compile(r"\.\*|\.|[|]|\\[^\w\s]|[\w\s:/<>,;=@#%&~`'\"!-]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PARENTHESES = re.compile(r"\(anonymous namespace\)|operator\(\)|\(")


def shown_name(function: Function) -> str:
    """The name that is printed: without the arguments and template parameters that a C++ name may carry."""
    if function.name and function.name != function.system_name:
        return function.name
    name = function.system_name
    if ".<" in name or "])." in name or not ("::" in name or any(mark in name for mark in "<>[]")):
        return name
    return _without(_without(name, "(", ")"), "<", ">")


def _without(name: str, opening: str, closing: str) -> str:
    """``name`` without what stands between the outermost pairs; what came before a pair that does not match is cut."""
    kept: list[str] = []
    depth = begin = opened = 0
    for at, letter in enumerate(name):
        if letter == opening:
            if not depth:
                kept.append(name[begin:at])
                opened = at
            depth += 1
        elif letter == closing:
            if not depth:
                return "".join(kept) + name[begin:]
            depth -= 1
            begin = at + 1 if not depth else begin
    return "".join(kept) + name[opened if depth else begin :]


def binary_path(mapping: Mapping | None) -> str:
    """The file that was mapped; "" when there is none, or only the address it was fetched from (or ``C:\\``)."""
    if mapping is None or (not mapping.build_id and _SCHEME.match(mapping.file)):
        return ""
    return mapping.file


def base_name(path: str) -> str:
    """The last part of a path that is not empty."""
    return path.rstrip("/").rpartition("/")[2] or "/"


def interesting(profile: Profile) -> Profile:
    """The profile without the frames beneath those that match its ``drop_frames`` and not its ``keep_frames``."""
    drop, keep = _pattern(profile.drop_frames), _pattern(profile.keep_frames)
    if not drop or (profile.keep_frames and not keep):
        return profile
    names = {function.id: _simple(shown_name(function)) for function in profile.functions}
    dropped = {key for key, name in names.items() if name and _matches(drop, name) and not _matches(keep, name)}
    places = {location.id: _trimmed(location, dropped) for location in profile.locations}
    samples = tuple(_pruned(sample, places) for sample in profile.samples)
    return replace(profile, samples=samples, locations=tuple(place.location for place in places.values()))


class _Place(NamedTuple):
    location: Location
    dropped: bool  # some line of it is to go
    wholly: bool  # also its outermost


def _trimmed(location: Location, dropped: set[int]) -> _Place:
    lines = location.lines
    for at in range(len(lines) - 1, -1, -1):
        if lines[at].function.id in dropped:
            rest = lines[at + 1 :]
            return _Place(replace(location, lines=rest) if rest else location, True, not rest)
    return _Place(location, False, False)


def _pruned(sample: Sample, places: dict[int, _Place]) -> Sample:
    """The sample up to the first frame to drop below the first frame that is not: never everything goes."""
    stack = [places[location.id] for location in sample.locations]
    begin, found_other = 0, False
    for at in range(len(stack) - 1, -1, -1):
        if not stack[at].dropped:
            found_other = True
        elif found_other:
            begin = at + 1 if stack[at].wholly else at
            break
    return replace(sample, locations=tuple(place.location for place in stack[begin:]))


def _simple(name: str) -> str:
    """``name`` without its argument list."""
    bare = name.removeprefix(".")
    cut = next((found.start() for found in _PARENTHESES.finditer(bare) if found.group() == "("), len(bare))
    return bare[:cut]


def _pattern(expression: str) -> list[list[str]]:
    """The alternatives of an expression, each as the pieces between its ``.*``; none when it is not understood.

    In a piece a NUL stands for any one letter.
    """
    signs = _SIGNS.findall(expression)
    if len("".join(signs)) != len(expression) or "\0" in expression:
        return []
    alternatives = [[""]]
    for sign in signs:
        if sign == "|":
            alternatives.append([""])
        elif sign == ".*":
            alternatives[-1].append("")
        else:
            alternatives[-1][-1] += "\0" if sign == "." else sign[-1]
    return alternatives


def _matches(alternatives: list[list[str]], name: str) -> bool:
    return "\n" not in name and any(_fits(pieces, name) for pieces in alternatives)


def _fits(pieces: list[str], name: str) -> bool:
    """Whether ``name`` is the pieces with anything between them. The first place where a piece fits is good enough."""
    first, *middle = pieces
    if not middle:
        return len(first) == len(name) and _stands(first, name, 0)
    last = middle.pop()
    at, end = len(first), len(name) - len(last)
    if at > end or not _stands(first, name, 0) or not _stands(last, name, end):
        return False
    for piece in middle:
        found = next((begin for begin in range(at, end - len(piece) + 1) if _stands(piece, name, begin)), None)
        if found is None:
            return False
        at = found + len(piece)
    return True


def _stands(piece: str, name: str, at: int) -> bool:
    return all(letter in ("\0", name[at + step]) for step, letter in enumerate(piece))
