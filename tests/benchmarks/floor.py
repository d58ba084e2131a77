"""The floor: the least that Django can do, to compare the intake with. One view that parses and inserts one row.

No middleware, no token, no check of the body; the same row in the same table as the intake writes.
"""

import hashlib
import json
import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sre_platform.settings")
settings.MIDDLEWARE = []
settings.ROOT_URLCONF = "tests.benchmarks.floor"
if settings.DATABASES["default"]["ENGINE"].endswith("postgresql") and os.environ.get("FLOOR") == "asgi":
    settings.DATABASES["default"] |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}
    settings.DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 8, "timeout": 10}
application = get_asgi_application() if os.environ.get("FLOOR") == "asgi" else get_wsgi_application()

from django.http import HttpRequest, JsonResponse  # noqa: E402 Django has to be set up
from django.urls import path  # noqa: E402

from sre_platform.intake.models import Delivery  # noqa: E402
from sre_platform.kernel.clock import now  # noqa: E402


def store(request: HttpRequest) -> JsonResponse:
    """Parse and insert."""
    body = request.body
    json.loads(body)
    digest = hashlib.sha256(body).hexdigest()
    row = Delivery.objects.create(source="alertmanager", received_at=now(), body=body, size=len(body), digest=digest)
    answer = JsonResponse({"delivery": row.pk}, status=202)
    answer.headers["Content-Length"] = str(len(answer.content))
    return answer


urlpatterns = [path("hooks/alertmanager", store)]
