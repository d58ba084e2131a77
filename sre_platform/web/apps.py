from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "sre_platform.web"
    label = "web"
