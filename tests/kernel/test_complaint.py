import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from sre_platform.kernel.complaint import MOST_SAID, SHOWN, complaint


class Pool(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": "many"}, "pool.size: input should be a valid integer, unable to parse string as an integer"),
        ({}, "pool.size: required"),
        (7, "pool: input should be a valid dictionary or instance of Pool"),
        ({"size": 1, "": 1}, "pool.'': extra inputs are not permitted"),
        ({"size": 1, "a\nb": 1}, "pool.a b: extra inputs are not permitted"),
    ],
)
def test_the_first_complaint_is_one_sentence(given, said):
    with pytest.raises(ValidationError) as refused:
        Pool.model_validate(given)
    assert complaint(refused.value, "pool") == said


def test_what_is_wrong_with_all_of_it_has_a_place_of_its_own():
    with pytest.raises(ValidationError) as refused:
        Pool.model_validate([])
    assert complaint(refused.value).startswith("the document: input should be")
    assert complaint(refused.value, whole="").startswith("input should be")


def test_no_name_makes_it_long():
    with pytest.raises(ValidationError) as refused:
        Pool.model_validate({"size": 1, "x" * 10_000: 1})
    assert len(complaint(refused.value)) <= SHOWN + MOST_SAID
