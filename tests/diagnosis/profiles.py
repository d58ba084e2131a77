"""Profiles for tests: the recorded ones, made-up ones, and what the real tool says of them."""

import os
import subprocess
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from sre_platform.diagnosis.parsers.profile import (
    Function,
    Label,
    Line,
    Location,
    Mapping,
    Profile,
    Sample,
    ValueType,
    parse,
)
from sre_platform.diagnosis.parsers.profile_encode import encode
from sre_platform.embedded.parts import go
from sre_platform.kernel.errors import SreError
from tests.recordings.profiles import record

FOLDER = record.FOLDER


@cache
def raw(name):
    return (FOLDER / f"{name}.pb.gz").read_bytes()


def recorded(name):
    return parse(raw(name))


@cache
def tool_path():
    """The path of the real pprof, or None on a machine without Go."""
    try:
        command = [go(), "tool", "-n", "pprof"]
        found = subprocess.run(command, env=os.environ | record.QUIET, capture_output=True, text=True, check=False)
    except SreError:
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def pprof(folder, *arguments, patience_s=30.0, **files):
    """Output and errors of the real tool; ``files`` are written into ``folder`` first, named ``NAME.pb.gz``."""
    for name, profile in files.items():
        data = profile if isinstance(profile, bytes) else encode(profile)
        Path(folder, f"{name}.pb.gz").write_bytes(data)
    env = os.environ | record.QUIET
    command = [tool_path(), *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=patience_s, check=False)
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


UNITS = ["nanoseconds", "bytes", "count", "ms", "kilobytes", "μs", "widgets", "GCU", "hours", ""]
NAMES = ["main.main", "main.f[go.shape.int]", "a/b.(*T).M", "std::vector<int>::push(int)", "f", "g", "", "lib.so"]
AMOUNTS = st.one_of(st.integers(-3, 20), st.integers(-(10**6), 10**9), st.integers(0, 2**48))


@st.composite
def profiles(draw, types=None):
    """Any profile that the tool accepts, small."""
    if types is None:
        types = draw(
            st.lists(st.sampled_from(["cpu", "space", "samples", "delay"]), min_size=1, max_size=3, unique=True)
        )
        types = tuple(ValueType(name, draw(st.sampled_from(UNITS))) for name in types)
    files = st.sampled_from(["/bin/shop", "/lib/libc.so", "", "[vdso]", "https://shop/x"])
    mappings = tuple(
        Mapping(
            n + 1,
            n * 0x10000,
            n * 0x10000 + draw(st.sampled_from([0x1000, 0x1001, 0x2000])),
            0,
            draw(files),
            draw(st.sampled_from(["", "b1", "b2"])),
            *[True] * 4,
        )
        for n in range(draw(st.integers(0, 2)))
    )
    # Nameless functions with different first lines tie in the tool's order, which then changes from run to run.
    functions = tuple(
        Function(
            n * 3 + 1,
            name,
            draw(st.sampled_from([name, "", "sys"])) if name else "",
            draw(st.sampled_from(["a.go", "", "b.go"])),
            0,
        )
        for n, name in enumerate(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8)))
    )
    lines = st.builds(Line, st.sampled_from(functions), st.integers(0, 3), st.integers(0, 2))
    locations = tuple(
        Location(
            n + 1,
            draw(st.sampled_from([None, *mappings])),
            draw(st.integers(0, 5)) + n // 3,
            tuple(draw(st.lists(lines, max_size=3))),
            draw(st.booleans()),
        )
        for n in range(draw(st.integers(1, 8)))
    )
    label = st.one_of(
        st.builds(Label, st.sampled_from("kl"), st.sampled_from(["a", "b"])),
        st.builds(
            Label, st.sampled_from(["k", "bytes"]), st.just(""), st.integers(1, 3), st.sampled_from(["", "bytes", "ms"])
        ),
    )
    samples = tuple(
        Sample(
            tuple(draw(st.lists(st.sampled_from(locations), max_size=6))),
            tuple(draw(AMOUNTS) for _ in types),
            tuple(draw(st.lists(label, max_size=2))),
        )
        for _ in range(draw(st.integers(0, 12)))
    )
    return Profile(
        types, samples, mappings, locations, functions,
        time_nanos=draw(st.sampled_from([0, 1, 1_700_000_000_123_456_789])),
        duration_nanos=draw(st.sampled_from([0, 1, 10**9, 123_456_789_012])),
        drop_frames=draw(st.sampled_from(["", "", "main\\.main", "f|a.*M", "std.*"])),
        keep_frames=draw(st.sampled_from(["", "", "f"])),
        period_type=ValueType("cpu", "nanoseconds"), period=draw(st.integers(0, 100)),
        comments=tuple(draw(st.lists(st.sampled_from(["#hidden", "seen", ""]), max_size=2))),
        default_sample_type=draw(st.sampled_from(["", types[0].type, "none"])),
        doc_url=draw(st.sampled_from(["", "https://docs"])),
    )  # fmt: skip
