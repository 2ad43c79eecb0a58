"""Who signs in: a marketer, somebody who may only look, an administrator."""

from __future__ import annotations

MARKETER, VIEWER, ADMINISTRATOR = "maria", "viktor", "ada"
FULL_NAMES = {
    MARKETER: ("Maria", "Lindqvist"),
    VIEWER: ("Viktor", "Blom"),
    ADMINISTRATOR: ("Ada", "Okafor"),
}
