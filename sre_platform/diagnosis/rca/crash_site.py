"""Which line of a crash is the owner's to look at. Pure."""

from collections.abc import Sequence

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.crash import Crash
from sre_platform.diagnosis.parsers.goroutine_dump import Frame
from sre_platform.diagnosis.rca.code import user_site

# Where a panic is on its way: what stands above the last of them ran afterwards, in deferred calls.
PANICKING = frozenset({"panic", "runtime.gopanic", "runtime.sigpanic", "runtime.goPanicIndex", "runtime.panicmem"})
PYTHON_ITSELF = ("/lib/python", "\\lib\\", "<")  # the standard library, and code that is in no file
PYTHON_LIBRARIES = ("/site-packages/", "/dist-packages/", "\\site-packages\\")


def crash_site(crash: Crash) -> Site | None:
    """The innermost line of the owner's code, else of a library; None when all of it is the language's own."""
    if crash.language == "go":
        return user_site(_origin(crash.frames))
    own = next((f for f in crash.frames if not _is_any(f, (*PYTHON_LIBRARIES, *PYTHON_ITSELF))), None)
    library = next((f for f in crash.frames if _is_any(f, PYTHON_LIBRARIES)), None)
    chosen = own or library
    return Site(chosen.function, chosen.file, chosen.line) if chosen else None


def _origin(frames: Sequence[Frame]) -> Sequence[Frame]:
    """The stack from where it began to panic, innermost first."""
    panics = [at for at, frame in enumerate(frames) if frame.function in PANICKING]
    return frames[panics[-1] + 1 :] if panics else frames


def _is_any(frame: Frame, parts: Sequence[str]) -> bool:
    return any(part in frame.file for part in parts)
