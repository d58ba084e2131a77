"""Settings that tests need, before Django reads any: a secret, a place of their own, and no demo's left-over file.

pytest-django reads a DJANGO_SETTINGS_MODULE of pyproject.toml before any conftest, so it stands here and not there.
"""

import os
import tempfile

import django
import hypothesis
from django.conf import settings

os.environ["SRE_SECRET_KEY"] = "only-for-tests"
os.environ["SRE_DATA"] = tempfile.mkdtemp(prefix="sre-tests-")
os.environ["SRE_ENV_FILE"] = "/nonexistent"
os.environ["DJANGO_SETTINGS_MODULE"] = "sre_platform.settings"
if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, because threads of one process do not wait for each other in SQLite's memory databases.
    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(settings.SRE_DATA / "test.sqlite3")
django.setup()
# What lands must not depend on luck: with CI set, every run tries the same examples. People's runs look for new ones.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")
