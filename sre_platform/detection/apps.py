from django.apps import AppConfig


class DetectionConfig(AppConfig):
    name = "sre_platform.detection"
    label = "detection"
