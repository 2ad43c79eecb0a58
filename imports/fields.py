"""The encrypted field: secrets at rest as Fernet tokens, in memory as `Secret`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class LostKeyError(Exception):
    """No key in MCDASH_FIELD_KEYS opens a stored secret."""


def _current_fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.MCDASH_FIELD_KEYS])


class Secret:
    """A secret that shows itself only when `reveal()` is called: a lost key is met
    there, and not where its row is merely listed.
    """

    __slots__ = ("ciphertext",)

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    @classmethod
    def hide(cls, plain: str) -> Secret:
        return cls(_current_fernet().encrypt(plain.encode()).decode())

    def reveal(self) -> str:
        """The plain text. Raises `LostKeyError` where no key opens it."""
        try:
            return _current_fernet().decrypt(self.ciphertext.encode()).decode()
        except InvalidToken as error:
            raise LostKeyError(
                "A stored secret cannot be read: its key is not in "
                "MCDASH_FIELD_KEYS. Put the key back, or enter the secret again."
            ) from error

    def key_position(self) -> int | None:
        """Which of MCDASH_FIELD_KEYS opens it, 1 being the newest; None: none does."""
        for position, key in enumerate(settings.MCDASH_FIELD_KEYS, start=1):
            with suppress(InvalidToken):
                Fernet(key).decrypt(self.ciphertext.encode())
                return position
        return None

    def rotated(self) -> Secret:
        """The same secret under the newest key."""
        return Secret(_current_fernet().rotate(self.ciphertext.encode()).decode())

    def __bool__(self) -> bool:
        return bool(self.ciphertext)

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


if TYPE_CHECKING:
    _SecretColumn = models.TextField[Secret | str, Secret]
else:
    _SecretColumn = models.TextField


class EncryptedField(_SecretColumn):
    """A column of Fernet tokens: takes plain text or a `Secret`, gives a `Secret`."""

    def from_db_value(self, value: str | None, *_: Any) -> Secret | None:
        return None if value is None else Secret(value)

    def to_python(self, value: Any) -> Any:
        if value is None or isinstance(value, Secret) or value == "":
            return value
        return Secret.hide(str(value))

    def pre_save(self, instance: models.Model, add: bool) -> Any:
        value = self.to_python(super().pre_save(instance, add))
        setattr(instance, self.attname, value)
        return value

    def get_prep_value(self, value: Any) -> Any:
        hidden = self.to_python(value)
        return hidden.ciphertext if isinstance(hidden, Secret) else hidden

    def value_to_string(self, obj: models.Model) -> str:  # noqa: ARG002  Django's signature
        return "Secret(…)"
