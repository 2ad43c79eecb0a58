"""Administration: accounts, access, people, and history to look at."""

from __future__ import annotations

from django.contrib import admin

from imports.admin import accounts, history, people

admin.site.site_header = "mcdash administration"
admin.site.site_title = "mcdash administration"
admin.site.index_title = "Accounts, access and history"

__all__ = ["accounts", "history", "people"]
