from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "sre_platform.incidents"
    label = "incidents"
