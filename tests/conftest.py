"""Settings that tests need, before Django reads any: a secret, a place of their own, and no demo's left-over file."""

import os
import tempfile

os.environ["SRE_SECRET_KEY"] = "only-for-tests"
os.environ["SRE_DATA"] = tempfile.mkdtemp(prefix="sre-tests-")
os.environ["SRE_ENV_FILE"] = "/nonexistent"
