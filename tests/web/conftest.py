import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def staff(db) -> User:
    return User.objects.create_superuser("ada", password="a long password")


@pytest.fixture
def person(db) -> User:
    return User.objects.create_user("guest", password="a long password")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def web(staff) -> Client:
    """A browser in which a member of the staff is signed in."""
    return signed_in(staff)


@pytest.fixture
def guest(person) -> Client:
    """A browser in which somebody is signed in who is no member of the staff."""
    return signed_in(person)
