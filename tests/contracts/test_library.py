"""Parsers, causes and rules are a library: whoever has a dump and Python can use them, with no framework about."""

import subprocess
import sys

from django.conf import settings

PACKAGES = ("sre_platform.diagnosis.parsers", "sre_platform.diagnosis.rca", "sre_platform.diagnosis.rules")
IMPORT = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{name}.{module.name}")
        print(module.name)
print(*sorted({"django", "celery", "redis", "requests", "urllib3"} & sys.modules.keys()), file=sys.stderr, end="")
"""


def test_they_bring_no_framework_along():
    command = [sys.executable, "-c", IMPORT, *PACKAGES]
    done = subprocess.run(command, cwd=settings.BASE_DIR, check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert {"goroutines", "profile", "goroutine_report", "goroutine_leak"} <= set(done.stdout.split())
