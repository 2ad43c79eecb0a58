"""What happened to a run, one row for each thing: its timeline."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class EventKind(models.TextChoices):
    QUEUED = "queued", "Queued"
    WITHDRAWN = "withdrawn", "Withdrawn"
    CLAIMED = "claimed", "Start sent"
    ACCEPTED = "accepted", "Accepted"
    CONTRADICTED = "contradicted", "Accepted with a contradiction"
    NOT_STARTED = "not_started", "Not started"
    UNANSWERED = "unanswered", "No readable answer"
    LOOKED = "looked", "Looked for"
    FOUND = "found", "Found"
    PHASE = "phase", "Phase"
    ENDED = "ended", "Ended"
    LOST = "lost", "Lost"
    CHECKED_AGAIN = "checked_again", "Checked again"
    ADOPTED = "adopted", "Adopted"
    MERGED = "merged", "Merged"
    CHOSEN = "chosen", "Chosen"


class RunEvent(models.Model):
    """One thing that happened to a run."""

    run = models.ForeignKey("ImportRun", models.PROTECT, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=EventKind)
    from_status = models.CharField(max_length=21, blank=True)
    to_status = models.CharField(max_length=21, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True
    )
    actor_name = models.TextField(blank=True)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, run {self.run_id}"
