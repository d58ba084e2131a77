"""The web application as uvicorn serves it."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sre_platform.settings")
os.environ.setdefault("SRE_DATABASE_POOL", "8")
application = get_asgi_application()
