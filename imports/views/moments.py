"""Moments as sentences say them."""

from __future__ import annotations

from imports.templatetags.times import clock_text

__all__ = ["clock_text"]
