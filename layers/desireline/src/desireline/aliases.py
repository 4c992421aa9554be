"""Identifiers of persons at the edge: normalised, refused where they mean nobody, and named so
that they do not tell (delivery rule 15)."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from functools import lru_cache
from uuid import UUID, uuid5

from desireline.events import Alias, AliasType

VALUE_LIMIT = 256

BLOCKED = frozenset(
    {
        *("", "-", "0", "-1", "anonymous", "distinct_id", "distinctid", "email", "false", "guest"),
        *("id", "n/a", "nan", "nil", "none", "not_authenticated", "null", "true", "undefined"),
        *("unknown", "user", "user_id", "userid", "[object object]", "test@example.com"),
    }
)
"""Values that senders fill in when they know nobody (case and quotes apart)."""

ROLE_MAILBOXES = frozenset(
    {
        *("abuse", "accounts", "admin", "billing", "contact", "finance", "hello", "help", "hr"),
        *("info", "it", "jobs", "mail", "marketing", "no-reply", "noreply", "office", "postmaster"),
        *("sales", "security", "service", "support", "team", "webmaster"),
    }
)
"""Mailboxes that several people read: such an address identifies no person."""

_HOLLOW = re.compile(r"[0\-_. ]*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_QUOTES = "\"'`"


class Fragments:
    """Names fragments. secret: the deployment's; without it a fragment of a known address could be
    computed by anyone, and fragments are Kafka keys."""

    def __init__(self, secret: bytes) -> None:
        digest = hmac.new(secret, b"desireline fragments", hashlib.sha256).digest()
        self._namespace = UUID(bytes=digest[:16])
        self._salt = hmac.new(secret, b"desireline context", hashlib.sha256).digest()
        self._named = lru_cache(maxsize=50_000)(self._name)

    def alias(self, alias_type: AliasType, value: object) -> Alias | None:
        """The alias, or None where the value identifies nobody."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        return self._named(alias_type, str(value)[: VALUE_LIMIT + 1])

    def hashed(self, value: str) -> str:
        """An address or a user agent, salted: equal values stay comparable, and unreadable."""
        return hmac.new(self._salt, value.encode(), hashlib.sha256).hexdigest()[:32]

    def _name(self, alias_type: AliasType, value: str) -> Alias | None:
        normalised = normalise(alias_type, value)
        if normalised is None:
            return None
        fragment = str(uuid5(self._namespace, f"{alias_type}|{normalised}"))
        return Alias(type=alias_type, value=normalised, fragment=fragment)


def normalise(alias_type: AliasType, value: str) -> str | None:
    """The value in its one form, or None where it identifies nobody."""
    text = unicodedata.normalize("NFC", value).strip().strip(_QUOTES).strip()
    if text.lower() in BLOCKED or _HOLLOW.fullmatch(text) or len(text) > VALUE_LIMIT:
        return None
    if alias_type is AliasType.EMAIL:
        text = text.lower()
        if not _EMAIL.fullmatch(text) or text.partition("@")[0] in ROLE_MAILBOXES:
            return None
    return text
