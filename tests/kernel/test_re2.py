import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.re2 import LONGEST, compile_re2


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [
        ("db-.*", "db-1", True),
        ("db-.*", "xdb-1", False),
        ("(?i)prod|stage", "PROD", True),
        (r"\d+", "٣", False),
        (r"(eu|us)-(west|east)-[0-9]{1,2}", "eu-west-12", True),
        (r"(a|b)?c*", "ac", True),
        (r"(?:ab){3}", "ababab", True),
        (r"[]*a-]+", "*a]", True),
        (r".*\.(foo|bar)\..*", "x.bar.y", True),
        ("", "", True),
    ],
)
def test_it_matches_as_re2_does(text, value, matches):
    assert bool(compile_re2(text).fullmatch(value)) is matches


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(?=a)b", "RE2 does not have"),
        (r"(a)\1", "RE2 does not have"),
        ("a++", "RE2 does not have"),
        ("[[:alpha:]]", "reads differently"),
        ("a{,3}", "reads differently"),
        (r"\u00e4", "reads differently"),
        (r"\ä", "reads differently"),
        ("(?i)ä", "folds the case"),
        ("(", "does not compile"),
        ("a)", "does not compile"),
        (r"\pL", "does not compile"),
        ("(a+)+b", "repeats a group that holds"),
        ("(a|aa)*", "repeats a group that holds"),
        ("((ab?)){2,}", "repeats a group that holds"),
        ("(a?){30}", "repeats a group that holds"),
        ("a?" * 30 + "a" * 30, "more than three repeats"),
        (".*a.*b.*c.*", "more than three repeats"),
        ("a{1001}", "more than 1000 times"),
        ("a" * (LONGEST + 1), "this one has 1001"),
    ],
)
def test_what_is_refused(text, said):
    with pytest.raises(Malformed) as caught:
        compile_re2(text)
    assert said in str(caught.value)


@given(st.text(st.sampled_from("ab.*+?(){}[]|^$\\d,2:i"), max_size=14))
def test_whatever_is_taken_is_fast(text):
    try:
        compiled = compile_re2(text)
    except Malformed:
        return
    began = time.perf_counter()
    compiled.fullmatch("ab" * 60 + "!")
    assert time.perf_counter() - began < 0.5
    assert compiled.pattern == text
    assert compiled.flags & re.ASCII
