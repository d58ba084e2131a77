"""What a line of Go waits for, read from the source around it: which channel, in which direction, with which way out.

Only as much of the language is read as these questions need, by lines and words; what is not understood is "".
"""

import re
from collections.abc import Sequence

LONGEST_SELECT = 200  # lines
LONGEST_FUNCTION = 400  # lines above the blamed one in which its variables are looked for

DONE = re.compile(r"<-\s*[\w.]*(?:[cC]tx|[cC]ontext)[\w.]*\.Done\(\)|<-\s*[\w.]+\.Done\(\)")
BACKGROUND = re.compile(r"context\.(?:Background|TODO)\(\)")
TICKS = re.compile(r"(?:<-|range)\s*[\w.]*[tT]ick\w*(?:\.C)?\b|<-\s*time\.Tick\(")
OF_TIME = re.compile(r"<-\s*([\w.]+)\.C\b")
SEND = re.compile(r"([\w.\[\]()]+)\s*<-\s*(.+)")
TOKEN = re.compile(r"struct\{\}\{\}|true\b")


def cause_in_source(lines: Sequence[str], line: int, state: str) -> str:
    """The cause that line ``line`` (from 1) gives away for a goroutine that waits in ``state`` there, or ""."""
    if not 0 < line <= len(lines):
        return ""
    text, above = _code(lines[line - 1]), [_code(one) for one in lines[max(0, line - 1 - LONGEST_FUNCTION) : line - 1]]
    function = _function_above(above)
    if state == "select":
        return _select(lines, line, function)
    if state == "chan send" or (state == "chan operation" and _is_send(text)):
        return _send(text, lines, line)
    if state in ("chan receive", "chan operation"):
        return _receive(text, function)
    return ""


def _select(lines: Sequence[str], line: int, function: str) -> str:
    """A select that can be cancelled was not; one that cannot has to be given a case."""
    block = _block(lines, line)
    if not DONE.search(block) and (TICKS.search(block) or any(_ticks(c, function) for c in OF_TIME.findall(block))):
        return "ticker_never_stopped"
    if DONE.search(block):
        return "context_not_propagated" if BACKGROUND.search(function) else "ctx_never_cancelled"
    return "select_no_ctx_done"


def _send(text: str, lines: Sequence[str], line: int) -> str:
    """A token that is put into a channel and taken out again by the same code is a semaphore's."""
    sent = SEND.search(text)
    if sent and TOKEN.match(sent[2]):
        channel = re.escape(sent[1])
        rest = "\n".join(lines[line : line + LONGEST_SELECT])
        if re.search(rf"<-\s*{channel}\b", rest):
            return "semaphore_not_released"
    return ""


def _receive(text: str, function: str) -> str:
    if DONE.search(text):
        return "context_not_propagated" if BACKGROUND.search(function) else "ctx_never_cancelled"
    if TICKS.search(text):
        return "ticker_never_stopped"
    if timer := OF_TIME.search(text):
        return "ticker_never_stopped" if _ticks(timer[1], function) else _timer(timer[1], function)
    return ""


def _ticks(name: str, function: str) -> bool:
    """Whether ``name`` is a ticker of this function: its own, or given to it."""
    word = re.escape(name)
    return bool(re.search(rf"\b{word}\b.*=.*time\.NewTicker|\b{word}\s+\*time\.Ticker", function))


def _timer(name: str, function: str) -> str:
    word = re.escape(name)
    known = re.search(rf"\b{word}\b.*=.*time\.(?:NewTimer|AfterFunc)|\b{word}\s+\*time\.Timer", function)
    return "timer_stopped_receive" if known or "timer" in name.lower() else ""


def _is_send(text: str) -> bool:
    sent = SEND.search(text)
    return bool(sent) and not text.lstrip().startswith("<-")


def _block(lines: Sequence[str], line: int) -> str:
    """From ``select {`` to the brace that closes it."""
    depth, block = 0, []
    for text in map(_code, lines[line - 1 : line - 1 + LONGEST_SELECT]):
        block.append(text)
        depth += text.count("{") - text.count("}")
        if depth <= 0:
            break
    return "\n".join(block)


def _function_above(above: Sequence[str]) -> str:
    """The lines from the head of the function on, as far as it can be seen by its first column."""
    for start in range(len(above) - 1, -1, -1):
        if above[start].startswith("func"):
            return "\n".join(above[start:])
    return "\n".join(above)


def _code(line: str) -> str:
    """The line without its comment."""
    return line.partition("//")[0]
