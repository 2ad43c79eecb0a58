"""The data model: what is true of one row, whatever the outside says.

What its modules define is imported from here. mypy sees to it that what they import
is not, as stars would allow: it is no interface of theirs.
"""

from __future__ import annotations

from imports.models.account import *
from imports.models.database import *
from imports.models.definition import *
from imports.models.endpoints import *
from imports.models.run import *
from imports.models.status import *
from imports.models.storage import *
from imports.models.user import *
from imports.models.worker import *
from imports.reasons import Reason as Reason
