"""Real documents with damage: what a fuzz test of a parser draws from, besides text that nobody ever wrote."""

from hypothesis import strategies as st

LONG = "9" * 5000  # a number that int() would take long over
SHARDS = ["", "-", "-1", LONG, "nan", "inf", "1e999", "\x00", "\u0663", "\n", ":", "=", ",", "(", "]", "/", "\ud800"]


@st.composite
def mutated(draw: st.DrawFn, document: str) -> str:
    """``document`` with one to four pieces of up to 40 characters replaced, doubled or lost, then perhaps cut."""
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(document)))
        end = min(len(document), begin + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from([*SHARDS, document[begin:end] * 2]) | st.text(max_size=8))
        document = document[:begin] + piece + document[end:]
    return document[: draw(st.none() | st.integers(0, len(document)))]
