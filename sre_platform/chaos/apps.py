from django.apps import AppConfig


class ChaosConfig(AppConfig):
    name = "sre_platform.chaos"
    label = "chaos"
