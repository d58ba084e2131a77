"""Every address of the platform."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from sre_platform.web import flame, goroutines, health, hooks, ledger, pages, rollouts, stream

urlpatterns = [
    path("", pages.incidents, name="incidents"),
    path("incidents/<int:incident_id>/", pages.incident, name="incident"),
    path("incidents/<int:incident_id>/live", pages.incident_live, name="incident-live"),
    path("incidents/<int:incident_id>/stream", stream.incident, name="incident-stream"),
    path("incidents/<int:incident_id>/evidence/<int:evidence_id>/goroutines", goroutines.goroutines, name="goroutines"),
    path("incidents/<int:incident_id>/evidence/<int:evidence_id>/flame/<str:name>", flame.flame, name="flame"),
    path("incidents/<int:incident_id>/evidence/<int:evidence_id>/<path:name>", pages.evidence, name="evidence"),
    path("incidents/<int:incident_id>/decision", pages.decision, name="decision"),
    path("incidents/<int:incident_id>/take-back", pages.take_back, name="take_back"),
    path("ledger/", ledger.ledger, name="ledger"),
    path("ledger/<int:delivery_id>/", ledger.delivery, name="delivery"),
    path("ledger/<int:delivery_id>/body", ledger.body, name="delivery-body"),
    path("tickets/", pages.tickets, name="tickets"),
    path("tickets/<int:ticket_id>/", pages.ticket, name="ticket"),
    path("rollouts/", rollouts.rollouts, name="rollouts"),
    path("rollouts/<int:rollout_id>/", rollouts.rollout, name="rollout"),
    path("rollouts/<int:rollout_id>/decision", rollouts.decision, name="rollout-decision"),
    path("automation", pages.automation, name="automation"),
    path("hooks/changes", hooks.changes, name="hook-changes"),
    path("hooks/rollouts", hooks.rollouts, name="hook-rollouts"),
    path("hooks/<slug:source>", hooks.explain, name="hook"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("login/", auth.LoginView.as_view(template_name="login.html"), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("favicon.ico", RedirectView.as_view(url=static("web/mark.svg"))),
    path("admin/", admin.site.urls),
]
