"""Who signs in: a marketer, somebody who may only look, somebody who may see nothing
yet, an administrator.
"""

from __future__ import annotations

MARKETER, VIEWER, NEWCOMER, ADMINISTRATOR = "maria", "viktor", "nora", "ada"
FULL_NAMES = {
    MARKETER: ("Maria", "Lindqvist"),
    VIEWER: ("Viktor", "Blom"),
    NEWCOMER: ("Nora", "Lund"),
    ADMINISTRATOR: ("Ada", "Okafor"),
}
