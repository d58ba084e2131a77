from django.apps import AppConfig


class EngineConfig(AppConfig):
    name = "sre_platform.engine"
    label = "engine"
