"""Template tags of mcdash: `{% load mcdash %}`. Each is a thin name over a module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.http import HttpRequest
from django.template import Context, RequestContext
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from imports import signin
from imports.models import STORAGE, ImportRun, WorkerState
from imports.models.names import first_with_ink
from imports.ui import icons, svg
from imports.ui.partials import Parts
from imports.wording import following, formats, status
from imports.wording.status import status_look

register = template.Library()


@register.simple_tag
def status_icon(status: str, size: int = 16, *, stale: bool = False) -> SafeString:
    """The silhouette of a status in its hue, grey and still where it is `stale`; the
    word belongs beside it.
    """
    return format_html(
        '<span class="ink-{}">{}</span>',
        "grey still" if stale else status_look(status).hue,
        icons.status_icon_svg(status, size=size),
    )


@register.simple_tag
def status_label(
    status: str,
    phase: str = "",
    *,
    short: bool = False,
    stale: bool = False,
    is_open: bool = False,
) -> SafeString:
    """Icon and word for a row; Unknown keeps its hatched badge everywhere.

    `stale` turns the icon grey and still: what it says is as it was when somebody
    last looked. `is_open`: not clean, though no error was reported.
    """
    look = status_look(status, is_open=is_open)
    if look.fill == "hatch":
        return status_badge(status)
    return format_html(
        '<span class="status ink-{}{}{}">{}<span><b>{}</b>{}</span></span>',
        "grey" if stale else look.hue,
        " speaks" if look.speaks else "",
        " still" if stale else "",
        icons.status_icon_svg(status),
        look.short if short else look.label,
        _phase(phase),
    )


@register.simple_tag
def status_badge(status: str, phase: str = "") -> SafeString:
    """Icon and word on the status's own ground."""
    look = status_look(status)
    return format_html(
        '<span class="badge ink-{} {}">{}<b>{}</b>{}</span>',
        look.hue,
        look.fill,
        icons.status_icon_svg(status),
        look.label,
        _phase(phase),
    )


def _phase(phase: str) -> SafeString | str:
    return format_html(' <span class="phase">{}</span>', phase) if phase else ""


@register.filter
def status_word(status: str) -> str:
    """The word of a status, for sentences and titles."""
    return status_look(status).label


@register.filter
def status_hue(status: str) -> str:
    """The hue of a status, for class names such as "ink-red" and "tint-red"."""
    return status_look(status).hue


@register.filter
def status_gutter(status: str) -> str:
    """The classes of the mark beside a text about a run of that status."""
    look = status_look(status)
    return f"ink-{look.hue}{' hatch' if look.fill == 'hatch' else ''}"


@register.filter
def status_end(status: str) -> str:
    """The word for the end of a run of that status: ended, given up, cancelled."""
    return status_look(status).end_word


@register.filter
def status_sentence(status: str) -> str:
    """What a status means, in one sentence."""
    return status_look(status).sentence


@register.simple_tag
def unwritable_since() -> str:
    """Since when nothing can be saved, as "09:14"; empty while all is well."""
    since = STORAGE.unwritable_since
    return formats.clock_text(since) if since else ""


@register.simple_tag
def icon(name: str, size: int = 16, style: str = "micro") -> SafeString:
    """An icon by heroicons' name, or "unplugged", "replace", "brand" of our own."""
    return icons.icon_svg(name, size=size, style=style)


@register.simple_tag
def icon_sprite() -> SafeString:
    """The icons that tables repeat, drawn once for the whole page."""
    return icons.sprite_svg()


@register.simple_tag
def strip(
    bars_of: Sequence[dict[str, Any]] | None, *, wide: bool = False, current: int = 0
) -> str:
    """The last 20 runs as bars; `wide` on the page of one run or definition."""
    return svg.strip_svg(bars_of, wide=wide, current=current)


@register.simple_tag
def strip_picture(bars_of: Sequence[dict[str, Any]] | None) -> str:
    """The same in a list, as a picture until a reader goes there."""
    return svg.picture_svg(bars_of)


@register.filter
def count(value: object) -> str:
    """412006 -> "412,006"; an unknown count -> "–"."""
    return formats.count_text(value)


@register.filter
def duration(value: timedelta | float | None) -> str:
    """Seconds or a timedelta -> "6:48" or "1:02:03"; unknown -> "–"."""
    return formats.duration_text(value)


@register.filter
def share(part: int | None, whole: int | None) -> str:
    """`errors|share:total` -> "8.4 %"; unknown or of nothing -> "–"."""
    return formats.share_text(part, whole)


@register.simple_tag
def when(
    moment: datetime | None,
    clock_minutes: int = formats.DEFAULT_CLOCK_MINUTES,
    focusable: bool = True,
) -> str:
    """ "6 min ago" with the exact time in the reader's zone and on their clock."""
    return formats.when_html(moment, clock_minutes=clock_minutes, focusable=focusable)


@register.simple_tag
def clock(moment: datetime, clock_minutes: int = formats.DEFAULT_CLOCK_MINUTES) -> str:
    """ "09:14", or "3 Jan, 09:14" of another day, for sentences that say since when."""
    return formats.clock_html(moment, clock_minutes)


@register.simple_tag
def elapsed(since: datetime | None) -> str:
    """Time gone by since a moment, ticking in the browser."""
    return formats.elapsed_html(since)


@register.simple_tag(takes_context=True)
def run_elapsed(context: Context, run: ImportRun) -> str:
    """How long an active run has taken so far, ticking while somebody looks at it."""
    return _elapsed_html(run, _workers(context))


@register.filter
def exact(
    moment: datetime | None, clock_minutes: int = formats.DEFAULT_CLOCK_MINUTES
) -> str:
    """The exact time in words, in both zones."""
    return formats.exact_text(moment, clock_minutes) if moment else formats.UNKNOWN


@register.filter
def middle(text: str, limit: int = 32) -> SafeString:
    """One line that gives way in its middle and keeps its last 14 characters."""
    return formats.middle_html(str(text), limit)


@register.simple_tag
def found(text: str, query: str = "", limit: int = 32) -> SafeString:
    """As `middle`, with the words of a search marked."""
    return formats.middle_html(str(text), limit, query)


@register.simple_tag
def proportion(
    loaded: int | None,
    duplicates: int | None,
    errors: int | None,
    unaccounted: int | None = None,
) -> SafeString:
    """One bar of loaded, duplicate and refused rows, to scale; rows that no count
    accounts for stay empty.
    """
    return svg.proportion_svg(loaded, duplicates, errors, unaccounted)


@register.simple_tag
def lane(start: float, length: float, total: float, hue: str = "blue") -> SafeString:
    """A phase's place within a run, all in seconds."""
    return svg.lane_svg(start, length, total, hue)


@register.simple_tag(takes_context=True)
def run_state(context: Context, run: ImportRun, *, short: bool = False) -> SafeString:
    """A run's status in a row; grey and still while nobody looks at it."""
    return status_label(
        run.status,
        status.shown_phase(run),
        short=short,
        stale=run.why_not_followed(_workers(context)) is not None,
        is_open=run.are_counts_open,
    )


@register.simple_tag(takes_context=True)
def run_icon(context: Context, run: ImportRun, size: int = 16) -> SafeString:
    """A run's silhouette; grey and still while nobody looks at it."""
    is_stale = run.why_not_followed(_workers(context)) is not None
    return status_icon(run.status, size, stale=is_stale)


@register.simple_tag(takes_context=True)
def last_checked(context: Context, run: ImportRun) -> str:
    """When a run was last looked at, and whether that is still so."""
    return _last_checked_html(run, _workers(context))


def _workers(context: Context) -> WorkerState:
    """How the workers do, where the page knows (see `views.live`)."""
    workers = getattr(context.get("live"), "workers", None)
    return workers if isinstance(workers, WorkerState) else WorkerState()


@register.filter
def open_counts(run: ImportRun) -> str:
    """What the counts of a completed run leave open, in words; empty if nothing."""
    return formats.problem_text(run.counts) if run.are_counts_open else ""


register.filter("shown_phase", status.shown_phase)
register.filter("run_ended_at", status.ended_at)
register.filter("took", status.took_text)
register.filter("visible", formats.visible)


@register.filter
def name_or(name: str, otherwise: str) -> str:
    """A name, or what stands for one that cannot be seen."""
    return first_with_ink(name, otherwise=otherwise)


@register.filter
def initials(name: str) -> str:
    """ "Ana Ruiz" -> "AR", for the person's menu."""
    words = str(name).replace(".", " ").replace("@", " ").split()
    letters = [word[0] for word in (words[:1] + words[1:][-1:])]
    return "".join(letters).upper() or "?"


@register.simple_tag
def address(route: str, pk: int) -> str:
    """As Django's `url`, for one of our own rows."""
    return reverse(f"imports:{route}", args=[pk])


@register.simple_tag(takes_context=True)
def part(context: RequestContext, name: str, *, in_place: bool = False) -> SafeString:
    """The template `name`, an element with an id, as part of a page that polls renew.

    With `oob` in the context only what changed, out of band; `in_place` says that
    this one is what htmx asked for.
    """
    parts = context.get("parts") or Parts()
    html = get_template(context, name).render(context)
    return parts.show(html, is_poll=bool(context.get("oob")) and not in_place)


def get_template(context: RequestContext, name: str) -> template.Template:
    if context.template is None:
        raise ValueError("A part is rendered within a template.")
    return context.template.engine.get_template(name)


@dataclass(frozen=True, kw_only=True)
class NavItem:
    """One of the four places that every page leads to."""

    word: str
    url: str
    icon: str
    is_current: bool


_PLACES = (
    ("Dashboard", "dashboard", "home", ("dashboard",)),
    (
        "Definitions",
        "definition_list",
        "list-bullet",
        ("definition", "definition_list"),
    ),
    ("History", "run_list", "clock", ("run", "run_list")),
    ("Accounts", "account_list", "server-stack", ("account", "account_list")),
)


@register.simple_tag(takes_context=True)
def page_session(context: Context) -> str:
    """The session that this page is made in, for its scripts."""
    request = context.get("request")
    # an error's page may come before anybody knows who asks
    if isinstance(request, HttpRequest) and hasattr(request, "user"):
        return signin.page_session(request)
    return ""


@register.simple_tag(takes_context=True)
def nav_items(context: RequestContext) -> list[NavItem]:
    """The four places, the one that the reader is at marked."""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    here = match.url_name if match and match.app_name == "imports" else ""
    return [
        NavItem(
            word=word,
            url=reverse(f"imports:{route}"),
            icon=icon_name,
            is_current=here in routes,
        )
        for word, route, icon_name, routes in _PLACES
    ]


def _elapsed_html(run: ImportRun, workers: WorkerState) -> str:
    """How long an active run has taken: counted on while somebody looks at it, else as
    far as it was seen.
    """
    unfollowed = run.why_not_followed(workers)
    if unfollowed is None:
        return formats.elapsed_html(run.began_at)
    seen = run.last_checked_at - run.began_at if run.last_checked_at else None
    return format_html(
        '<span class="as-of" title="{}">{}<span class="visually-hidden">As last seen:'
        " </span>{}</span>",
        following.fact(run, unfollowed),
        icons.icon_svg("unplugged"),
        formats.duration_text(seen),
    )


def _last_checked_html(run: ImportRun, workers: WorkerState) -> str:
    """When we last looked. While nobody looks it stands still, with the reason."""
    unfollowed = run.why_not_followed(workers)
    clock = run.account.clock_offset_minutes
    if unfollowed is None:
        return formats.when_html(run.last_checked_at, clock_minutes=clock)
    return format_html(
        '<span class="as-of" title="{}">{}<span class="visually-hidden">{} As of'
        " </span>{}</span>",
        following.fact(run, unfollowed),
        icons.icon_svg("unplugged"),
        following.fact(run, unfollowed),
        _standing_still(run.last_checked_at, clock),
    )


def _standing_still(moment: datetime | None, clock_minutes: int) -> SafeString | str:
    if moment is None:
        return formats.UNKNOWN
    return format_html(
        '<time datetime="{}" title="{}" tabindex="0">{}</time>',
        moment.isoformat(timespec="seconds"),
        formats.exact_text(moment, clock_minutes),
        formats.clock_text(moment),
    )
