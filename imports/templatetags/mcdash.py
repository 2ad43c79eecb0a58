"""Template tags of mcdash: `{% load mcdash %}`. Each is a thin name over a module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.http import HttpRequest
from django.template import Context, RequestContext
from django.template.defaultfilters import stringfilter
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from imports import signin, text
from imports.models import STORAGE, ImportRun, Origin, Unfollowed, WorkerState
from imports.ui import icons, svg
from imports.ui.partials import Drawing, Part, part_slot
from imports.wording import following, formats
from imports.wording import status as statuses
from imports.wording.status import status_look

register = template.Library()
INDENTATION = re.compile(r"\n\s+")
LONGEST_STARTER = 20
# The icon beside who started a run, and what stands there where nobody is named.
_ORIGINS: dict[str, tuple[str, str]] = {
    Origin.OUTSIDE: ("arrow-top-right-on-square", "Outside"),
    Origin.COMMAND: ("command-line", "Command"),
}

# Functions of other rooms under the short names that templates know them by.
register.simple_tag(svg.strip_svg, name="strip")
register.simple_tag(svg.picture_svg, name="strip_picture")
register.simple_tag(svg.proportion_svg, name="proportion")
register.simple_tag(svg.lane_svg, name="lane")
register.simple_tag(icons.icon_svg, name="icon")
register.simple_tag(icons.sprite_svg, name="icon_sprite")
register.simple_tag(formats.when_html, name="when")
register.simple_tag(formats.clock_html, name="clock")
register.simple_tag(formats.elapsed_html, name="elapsed")
register.filter("problem", formats.problem_text)
register.filter("count", formats.count_text)
register.filter("duration", formats.duration_text)
register.filter("share", formats.share_text)
register.simple_tag(formats.middle_html, name="found")
register.filter("middle", stringfilter(formats.middle_html))
register.filter("shown_phase", statuses.shown_phase)
register.filter("run_ended_at", statuses.ended_at)
register.filter("took", statuses.took_text)
register.filter("visible", text.visible)


@register.simple_tag
def status_icon(status: str, size: int = 16, *, stale: bool = False) -> SafeString:
    """The silhouette of a status in its hue, or grey; its word belongs beside it."""
    ink = "grey still" if stale else status_look(status).hue
    icon = icons.status_icon_svg(status, size=size)
    return mark_safe(f'<span class="ink-{ink}">{icon}</span>')  # noqa: S308 - our own


@register.simple_tag
def status_label(
    status: str,
    phase: str = "",
    *,
    short: bool = False,
    stale: bool = False,
    is_open: bool = False,
) -> SafeString:
    """Icon and word for a row. `stale` turns the icon grey and still: somebody last
    looked a while ago. `is_open`: not clean, though no error was reported.
    """
    look = status_look(status, is_open=is_open)
    # an unknown outcome must never be taken for one of the quiet words around it
    if look.fill == "hatch":
        return status_badge(status)
    ink = f"{'grey' if stale else look.hue}{' speaks' * look.speaks}{' still' * stale}"
    return mark_safe(  # noqa: S308 - our own words, and an escaped phase
        f'<span class="status ink-{ink}">{icons.status_icon_svg(status)}'
        f"<span><b>{look.short if short else look.label}</b>{_phase(phase)}</span>"
        "</span>"
    )


@register.simple_tag
def status_badge(status: str, phase: str = "") -> SafeString:
    look = status_look(status)
    return mark_safe(  # noqa: S308 - our own words, and an escaped phase
        f'<span class="badge ink-{look.hue} {look.fill}">'
        f"{icons.status_icon_svg(status)}<b>{look.label}</b>{_phase(phase)}</span>"
    )


def _phase(phase: str) -> str:
    return f' <span class="phase">{escape(phase)}</span>' if phase else ""


@register.filter("look")
def fact_of_status(status: str, fact: str) -> str:
    """One fact of a status's row, such as its "hue" or "sentence"."""
    return str(getattr(status_look(status), fact))


@register.simple_tag
def unwritable_since() -> str:
    """Since when nothing can be saved, as "09:14"; empty while all is well."""
    since = STORAGE.unwritable_since
    return formats.clock_text(since) if since else ""


@register.simple_tag(takes_context=True)
def run_elapsed(context: Context, run: ImportRun) -> str:
    """How long an active run has taken: ticking, or when it was last seen."""
    if unfollowed := _unfollowed(context, run):
        seen = run.last_checked_at - run.began_at if run.last_checked_at else None
        fact = following.fact(run, unfollowed)
        return _as_of(fact, "As last seen:", formats.duration_text(seen))
    return formats.elapsed_html(run.began_at)


@register.filter
def exact(
    moment: datetime | None, clock_minutes: int = formats.DEFAULT_CLOCK_MINUTES
) -> str:
    """The exact time in words, in both zones."""
    return formats.exact_text(moment, clock_minutes) if moment else formats.UNKNOWN


@register.simple_tag(takes_context=True)
def run_state(context: Context, run: ImportRun, *, short: bool = False) -> SafeString:
    """A run's status in a row; grey and still while nobody looks at it."""
    return status_label(
        run.status,
        statuses.shown_phase(run),
        short=short,
        stale=_unfollowed(context, run) is not None,
        is_open=run.are_counts_open,
    )


@register.simple_tag(takes_context=True)
def run_icon(context: Context, run: ImportRun, size: int = 16) -> SafeString:
    """A run's silhouette; grey and still while nobody looks at it."""
    return status_icon(run.status, size, stale=_unfollowed(context, run) is not None)


@register.simple_tag
def run_origin(run: ImportRun) -> SafeString:
    """Who started a run, with an icon unless it was a person."""
    # no template of its own: to include one for each row takes seven times as long
    icon, otherwise = _ORIGINS.get(run.origin, ("", formats.UNKNOWN))
    name = "" if run.origin == Origin.OUTSIDE else run.started_by_name
    shown = formats.middle_html(name_or(name, otherwise), LONGEST_STARTER)
    drawn = icon and icons.icon_svg(icon)
    return mark_safe(f'<span class="origin">{drawn}{shown}</span>')  # noqa: S308 - escaped


@register.simple_tag(takes_context=True)
def last_checked(context: Context, run: ImportRun) -> str:
    """When a run was last checked; while it isn't followed, standing still, and why."""
    checked, clock = run.last_checked_at, run.account.clock_offset_minutes
    if unfollowed := _unfollowed(context, run):
        fact = following.fact(run, unfollowed)
        still = formats.clock_html(checked, clock, focusable=True)
        return _as_of(fact, f"{fact} As of", still)
    return formats.when_html(checked, clock_minutes=clock)


def _as_of(fact: str, heard: str, value: str) -> SafeString:
    """A value that isn't kept fresh, and why; only screen readers say `heard`."""
    return format_html(
        '<span class="as-of" title="{}">{}<span class="visually-hidden">{}'
        " </span>{}</span>",
        fact,
        icons.icon_svg("unplugged"),
        heard,
        value,
    )


def _unfollowed(context: Context, run: ImportRun) -> Unfollowed | None:
    """Why nobody looks at the run, as far as the page knows how the workers do."""
    # the style guide and error pages are not live: there nobody is said to be silent
    live: dict[str, Any] = context.get("live") or {}
    return run.why_not_followed(live.get("workers") or WorkerState())


@register.filter(is_safe=True)
@stringfilter
def compact(html: str) -> str:
    """Markup without the indentation of its template: a long table's is a sixth of the
    page. Not for text in which blanks count.
    """
    return INDENTATION.sub("\n", html)


@register.filter
def name_or(name: str, otherwise: str) -> str:
    """A name, or what stands for one that cannot be seen."""
    return text.first_with_ink(name, otherwise=otherwise)


@register.filter
def initials(name: str) -> str:
    """ "Ana Ruiz" -> "AR", for the person's menu."""
    # where no name is known it is the user name, often an address: "ana.ruiz@…"
    words = str(name).replace(".", " ").replace("@", " ").split()
    letters = [word[0] for word in (words[:1] + words[1:][-1:])]
    return "".join(letters).upper() or "?"


@register.simple_tag(takes_context=True)
def part(context: RequestContext, name: str, *, apart: bool = False) -> str:
    """The template `name`, an element with an id, as part of a page that polls renew.
    While the page is drawn it is a slot; `apart`: for what others draw.
    """
    parts: Mapping[str, Part] | None = context.get("parts")
    if parts:
        return mark_safe(parts[name].html)  # noqa: S308  rendered by a template
    drawing: Drawing | None = context.get("drawing")
    page = context.template
    if page is None:
        raise ValueError("A part is rendered within a template.")
    if apart:
        return part_slot(name)
    template = page.engine.get_template(name)
    if drawing is None:  # a page that is not live
        return template.render(context)
    return drawing.place(name, lambda: template.render(context))


@register.simple_tag(takes_context=True)
def page_session(context: Context) -> str:
    """The session that this page is made in, for its scripts."""
    request = context.get("request")
    # an error's page may come before anybody knows who asks
    if isinstance(request, HttpRequest) and hasattr(request, "user"):
        return signin.page_session(request)
    return ""


@register.simple_tag(takes_context=True)
def nav_items(context: RequestContext) -> list[dict[str, Any]]:
    """The four places that every page leads to, marked where the reader is."""
    match = getattr(context.get("request"), "resolver_match", None)
    here = match.url_name if match and match.app_name == "imports" else ""
    return [
        {
            "word": word,
            "url": reverse(f"imports:{route}"),
            "icon": icon,
            # from the page of one thing its list is where one is
            "is_current": here in (route, route.removesuffix("_list")),
        }
        for word, route, icon in (
            ("Dashboard", "dashboard", "home"),
            ("Definitions", "definition_list", "list-bullet"),
            ("History", "run_list", "clock"),
            ("Accounts", "account_list", "server-stack"),
        )
    ]
