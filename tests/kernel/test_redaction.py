import pytest

from sre_platform.kernel.redaction import HIDDEN, redact, redact_text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("sent Bearer abcdefgh12345678 along", f"sent {HIDDEN} along"),
        ("Authorization: basic dXNlcjpwYXNz", f"Authorization: {HIDDEN}"),
        ("redis://:s3cret@redis:6379/0", f"redis://{HIDDEN}@redis:6379/0"),
        ("at postgres://sre:p%40ss@db/sre, and http://u:p@h", f"at postgres://{HIDDEN}@db/sre, and http://{HIDDEN}@h"),
        ("http://127.0.0.1:9090/graph@x", "http://127.0.0.1:9090/graph@x"),
        ("a bearer of news", "a bearer of news"),
        ("mail ops@example.org at 12:30", "mail ops@example.org at 12:30"),
    ],
)
def test_credentials_in_a_text(text, left):
    assert redact_text(text) == left


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "DB_PASSWORD",
        "clientSecret",
        "token",
        "Authorization",
        "api-key",
        "apikey",
        "Set-Cookie",
        "credentials",
    ],
)
def test_the_values_of_telling_keys_are_hidden_whatever_they_are(key):
    assert redact({key: ["x", {"y": "z"}]}) == {key: HIDDEN}


def test_it_looks_everywhere_and_leaves_the_rest_alone():
    value = {"a": [{"url": "http://u:p@h"}, 1, None, 0.5, True], "b": ("Bearer abcdefgh1",), 3: "x"}
    assert redact(value) == {"a": [{"url": f"http://{HIDDEN}@h"}, 1, None, 0.5, True], "b": [HIDDEN], 3: "x"}


def test_the_original_is_not_touched():
    value = {"token": "x", "in": {"password": "y"}}
    redact(value)
    assert value == {"token": "x", "in": {"password": "y"}}
