"""Settings: from the environment only (and the file that `make demo` leaves for later commands). No thresholds here.

Every variable is listed in docs/settings.md. A missing secret fails at first use, so that offline commands need none.
"""

import os
from pathlib import Path

import dj_database_url

from sre_platform.kernel.envfile import read_env_file

BASE_DIR = Path(__file__).resolve().parent.parent
env = os.environ
SRE_DATA = Path(env.get("SRE_DATA", BASE_DIR / "var"))
for _name, _value in read_env_file(Path(env.get("SRE_ENV_FILE", SRE_DATA / "run" / "env"))).items():
    env.setdefault(_name, _value)
SRE_BASE_URL = env.get("SRE_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
SRE_REDIS_URL = env.get("SRE_REDIS_URL", "redis://127.0.0.1:6379/0")
SRE_PROMETHEUS_URL = env.get("SRE_PROMETHEUS_URL", "")
SRE_ALERTMANAGER_URLS = [url for part in env.get("SRE_ALERTMANAGER_URL", "").split(",") if (url := part.strip())]
SRE_ALERTMANAGER_RECEIVERS = {name for name in env.get("SRE_ALERTMANAGER_RECEIVER", "").split(",") if name}
SRE_SUPERVISOR_URL = env.get("SRE_SUPERVISOR_URL", "")
SRE_LEASE_S = float(env.get("SRE_LEASE_S", "30"))
SRE_MAX_WEBHOOK_BYTES = int(env.get("SRE_MAX_WEBHOOK_BYTES", str(1024 * 1024)))
SRE_MAX_PENDING = int(env.get("SRE_MAX_PENDING", "20000"))
SRE_KEEP_DAYS = int(env.get("SRE_KEEP_DAYS", "30"))
SRE_COMMANDS = env.get("SRE_COMMANDS", "")
SRE_TICKET_SYSTEMS = env.get("SRE_TICKET_SYSTEMS", "local").split(",")
SRE_LOG_LEVEL = env.get("SRE_LOG_LEVEL", "INFO")
SRE_ALARM_URL = env.get("SRE_ALARM_URL", "")
SRE_ALARM_TOKEN = env.get("SRE_ALARM_TOKEN", "")
SRE_ALARM_ALERTMANAGER_URL = env.get("SRE_ALARM_ALERTMANAGER_URL", "").rstrip("/")
env.setdefault("PROMETHEUS_MULTIPROC_DIR", str(SRE_DATA / "run" / "metrics"))  # read when prometheus_client is imported

SECRET_KEY = env.get("SRE_SECRET_KEY", "")
DEBUG = env.get("SRE_DEBUG", "") == "1"
ALLOWED_HOSTS = env.get("SRE_ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")
CSRF_TRUSTED_ORIGINS = [origin for origin in env.get("SRE_TRUSTED_ORIGINS", "").split(",") if origin]

ROOMS = ["playbook", "catalog", "detection", "intake", "incidents", "diagnosis", "guardrails", "remediation"]
ROOMS += ["verification", "rollouts", "tickets", "chaos", "engine", "web", "embedded"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    *[f"sre_platform.{room}" for room in ROOMS],
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "sre_platform.web.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "sre_platform.urls"
ASGI_APPLICATION = "sre_platform.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "sre_platform.web.context.automation",
                "sre_platform.web.context.alarms",
            ]
        },
    }
]

SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
}
DATABASES = {"default": dj_database_url.parse(env.get("SRE_DATABASE_URL") or f"sqlite:///{SRE_DATA}/sre.sqlite3")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
else:
    DATABASES["default"]["OPTIONS"] = {"connect_timeout": 5, "application_name": "sre-platform"}
    DATABASES["default"] |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
    if _pool := int(env.get("SRE_DATABASE_POOL", "0")):  # the web's: its requests run in ever new threads
        DATABASES["default"] |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}
        DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": _pool, "timeout": 10}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "incidents"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}}
]

LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
STATIC_ROOT = SRE_DATA / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_USE_STATIC_ROOT = False
DATA_UPLOAD_MAX_MEMORY_SIZE = SRE_MAX_WEBHOOK_BYTES
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SRE_BASE_URL.startswith("https:")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# The message is a doorbell: ids only, may come twice or never. docs/decisions/0001-rows-are-the-truth.md
CELERY_BROKER_URL = SRE_REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_SOFT_TIME_LIMIT = 50
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "socket_timeout": 30,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 15,
    # A bell that cannot be rung costs a webhook's sender 0.1 s; the sweep rings for it.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
}
CELERY_BEAT_SCHEDULE_FILENAME = str(SRE_DATA / "run" / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "sre_platform.engine.tasks.sweep", "schedule": 1.0, "options": {"expires": 5}},
    "reconcile": {
        "task": "sre_platform.engine.tasks.reconcile_alerts",
        "schedule": 15.0,
        "options": {"expires": 10},
    },
    "baselines": {
        "task": "sre_platform.engine.tasks.take_baselines",
        "schedule": 60.0,
        "options": {"expires": 50},
    },
    "prune": {"task": "sre_platform.engine.tasks.prune", "schedule": 3600.0, "options": {"expires": 600}},
}

LOGGING_CONFIG = "sre_platform.engine.logs.configure"
LOGGING = {"level": SRE_LOG_LEVEL}
