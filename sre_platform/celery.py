"""The Celery application; its tasks are in engine/tasks.py, what happens around them in engine/signals.py."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sre_platform.settings")
app = Celery("sre_platform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = ["sre_platform.engine.tasks", "sre_platform.engine.signals"]
