"""Who did what, kept for good."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from imports.models.account import Account


class AuditEntry(models.Model):
    """One deed of a person or a command. Never edited, never deleted."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True
    )
    actor_name = models.TextField(blank=True)
    action = models.CharField(max_length=40)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_label = models.TextField(blank=True)
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-at", "-id")
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} by {self.actor_name or 'nobody'}"
