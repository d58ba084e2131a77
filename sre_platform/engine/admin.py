from django.contrib import admin

from sre_platform.engine.models import Alarm, Heartbeat
from sre_platform.playbook.admin import ReadOnly


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ["name", "kind", "at"]
    list_filter = ["kind"]


@admin.register(Alarm)
class AlarmAdmin(ReadOnly):
    list_display = ["check_name", "since", "ended_at", "says"]
    list_filter = ["check_name"]
    date_hierarchy = "since"
