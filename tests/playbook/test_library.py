import pytest
import structlog
from django.db import IntegrityError, transaction

from sre_platform.kernel.errors import Malformed, Unknown
from sre_platform.playbook import library
from sre_platform.playbook.models import PlaybookVersion
from tests.playbook.test_schema import TEXT

pytestmark = pytest.mark.django_db
CHANGED = TEXT.replace("A process ended.", "A process is gone.")


def in_force():
    return {row.name: row.version for row in PlaybookVersion.objects.filter(in_force=True)}


def test_a_changed_text_is_a_new_version_in_force_and_the_old_one_is_kept():
    first, first_is_new = library.store(TEXT, "f.yaml")
    second, second_is_new = library.store(CHANGED, "ann")
    assert (first.version, first_is_new, second.version, second_is_new) == (1, True, 2, True)
    assert in_force() == {"service-down": 2}
    assert PlaybookVersion.objects.get(version=1).text == TEXT
    assert (second.source, second.as_value().summary) == ("ann", "A process is gone.")


def test_the_same_text_is_no_new_version():
    library.store(TEXT, "f.yaml")
    row, is_new = library.store(TEXT, "ann")
    assert (row.version, row.source, is_new) == (1, "f.yaml", False)


def test_an_old_text_put_in_force_again_is_the_newest_version():
    for text in (TEXT, CHANGED, TEXT):
        row, is_new = library.store(text, "f.yaml")
    assert (row.version, is_new, in_force()) == (3, True, {"service-down": 3})
    assert library.frozen([row.digest]), "two versions have this digest"


def test_a_bad_text_leaves_the_last_good_version_in_force():
    library.store(TEXT, "f.yaml")
    with pytest.raises(Malformed):
        library.store(TEXT.replace("rules:", "rulez:"), "f.yaml")
    assert in_force() == {"service-down": 1}


def test_frozen_gives_the_versions_of_the_digests_in_their_order_in_force_or_not():
    keys = [library.store(text, "f.yaml")[0].digest for text in (TEXT, CHANGED)]
    assert [book.summary for book in library.frozen(keys).values()] == ["A process ended.", "A process is gone."]
    assert list(library.frozen(keys[::-1])) == keys[::-1]


def test_one_that_is_not_held_any_more_is_named():
    with pytest.raises(Unknown, match=r"no longer holds the playbook 0123456789ab:"):
        library.frozen([library.store(TEXT, "f.yaml")[0].digest, "0123456789abcdef"])


def test_frozen_is_one_query(django_assert_num_queries):
    keys = [library.store(text, "f.yaml")[0].digest for text in (TEXT, CHANGED)]
    with django_assert_num_queries(1):
        library.frozen(keys)


def test_those_in_force_come_by_name():
    library.store(TEXT, "f.yaml")
    changed, _ = library.store(CHANGED, "f.yaml")
    other, _ = library.store(TEXT.replace("name: service-down", "name: a-first").replace("[pay*]", "['*']"), "g.yaml")
    assert list(library.in_force()) == [other.digest, changed.digest]


def test_a_stored_playbook_that_cannot_be_read_any_more_is_left_out_and_logged():
    good, _ = library.store(TEXT, "f.yaml")
    PlaybookVersion.objects.create(name="old", version=1, text="since: renamed", digest="0" * 64)
    with structlog.testing.capture_logs() as logs:
        assert list(library.in_force()) == [good.digest]
    assert [(line["event"], line["playbook"]) for line in logs] == [("playbook_left_out", "old v1")]


@pytest.mark.parametrize("version", [1, 2])
def test_the_database_refuses_a_second_version_in_force_and_a_second_row_of_one_version(version):
    library.store(TEXT, "f.yaml")
    again = PlaybookVersion(name="service-down", version=version, text=TEXT, digest="0" * 64, in_force=version == 2)
    with pytest.raises(IntegrityError), transaction.atomic():
        again.save()
