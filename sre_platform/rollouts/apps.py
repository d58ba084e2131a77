from django.apps import AppConfig


class RolloutsConfig(AppConfig):
    name = "sre_platform.rollouts"
    label = "rollouts"
