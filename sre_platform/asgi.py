"""The web application as uvicorn serves it: the door for alerts, and Django behind it."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sre_platform.settings")
os.environ.setdefault("SRE_DATABASE_POOL", "8")
_django = get_asgi_application()

from sre_platform.web.door import Door  # noqa: E402 the models it needs are there only now

application = Door(_django)
