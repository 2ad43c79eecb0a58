"""The site's routes, and what pages are compared with: the list of runs as Django's
admin makes it by default, with its COUNT.
"""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from imports.models import ImportRun
from mcdash import urls
from mcdash.urls import handler403, handler404

__all__ = ["handler403", "handler404", "urlpatterns"]

plain_site = admin.AdminSite(name="plain")
plain_site.register(ImportRun)

urlpatterns = [path("plain-admin/", plain_site.urls), *urls.urlpatterns]
