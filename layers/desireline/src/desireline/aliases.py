"""Identifiers of persons at the edge: normalised, refused where they mean nobody, and named so
that they do not tell (delivery rule 15)."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID, uuid5

import orjson

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

CACHED = 50_000
SALTS = 64

_HOLLOW = re.compile(r"[0\-_. ]*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_QUOTES = "\"'`"


class Named(NamedTuple):
    """An alias with what is wanted of it for every event: made once, kept."""

    fragment: str
    alias: Alias
    strength: int
    json: orjson.Fragment


class Fragments:
    """Names fragments. secret: the deployment's; without it a fragment of a known address could be
    computed by anyone, and fragments are Kafka keys."""

    def __init__(self, secret: bytes) -> None:
        digest = hmac.new(secret, b"desireline fragments", hashlib.sha256).digest()
        self._namespace = UUID(bytes=digest[:16])
        self._secret = secret
        self._named = lru_cache(maxsize=CACHED)(self._name)
        self.hashed = lru_cache(maxsize=CACHED)(self._hashed)
        self._salt = lru_cache(maxsize=SALTS)(self._salt_of)

    def alias(self, alias_type: AliasType, value: object) -> Alias | None:
        """The alias, or None where the value identifies nobody."""
        named = self.named(alias_type, value)
        return None if named is None else named.alias

    def named(self, alias_type: AliasType, value: object) -> Named | None:
        """The alias and its JSON, or None where the value identifies nobody."""
        if type(value) is not str:
            if isinstance(value, bool) or not isinstance(value, str | int):
                return None
            value = str(value)
        return self._named(alias_type, value[: VALUE_LIMIT + 1])

    def _hashed(self, value: str, day: int) -> str:
        """An address or a user agent with the salt of a day (of UTC, since the epoch): unreadable,
        and comparable with what was hashed for the same day only."""
        told = value.encode(errors="replace")
        return hmac.new(self._salt(day), told, hashlib.sha256).hexdigest()[:32]

    def _salt_of(self, day: int) -> bytes:
        return hmac.new(self._secret, b"desireline context %d" % day, hashlib.sha256).digest()

    def _name(self, alias_type: AliasType, value: str) -> Named | None:
        normalised = normalise(alias_type, value)
        if normalised is None:
            return None
        fragment = str(uuid5(self._namespace, f"{alias_type}|{normalised}"))
        alias = Alias(type=alias_type, value=normalised, fragment=fragment)
        return Named(fragment, alias, alias_type.strength, orjson.Fragment(alias.encode()))


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
