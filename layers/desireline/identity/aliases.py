"""Normalise identifiers of persons, reject those that identify nobody, and compute fragments.

A fragment is a pseudonym: without the deployment's secret it does not reveal its identifier
(delivery rule 15).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from desireline.events import Alias, AliasType

VALUE_LIMIT = 256

BLOCKED = frozenset(
    {
        *("", "-", "0", "-1", "anonymous", "distinct_id", "distinctid", "email", "false", "guest"),
        *("id", "n/a", "nan", "nil", "none", "not_authenticated", "null", "true", "undefined"),
        *("unknown", "user", "user_id", "userid", "[object object]", "test@example.com"),
    }
)
"""Values that senders use for an unknown person, in lower case and without quotes."""

ROLE_MAILBOXES = frozenset(
    {
        *("abuse", "accounts", "admin", "billing", "contact", "finance", "hello", "help", "hr"),
        *("info", "it", "jobs", "mail", "marketing", "no-reply", "noreply", "office", "postmaster"),
        *("sales", "security", "service", "support", "team", "webmaster"),
    }
)
"""Mailboxes that several people read. Such an address does not identify a person."""

CACHED = 10_000
"""Aliases, and hashes, that an environment caches: about 5 MB of each. Active persons send many
events, so most lookups hit the cache."""

SALTS = 64

_HOLLOW = "0-_. "
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_QUOTES = "\"'`"


_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""Each hexadecimal digit with its two upper bits set to the UUID variant (RFC 9562, 4.1)."""


class Named(NamedTuple):
    """An alias with its strength, as the cache stores it.

    The cache does not store its JSON, which would take ten times the memory of the other fields."""

    type: AliasType
    value: str
    fragment: str
    strength: int

    @property
    def alias(self) -> Alias:
        """The alias as a model. Building it costs more than a Named."""
        return Alias(type=self.type, value=self.value, fragment=self.fragment)


class Fragments:
    """Computes fragments. secret: the deployment's secret. Fragments are Kafka keys; without the
    secret, anyone could compute the fragment of an address."""

    def __init__(self, secret: bytes) -> None:
        digest = hmac.new(secret, b"desireline fragments", hashlib.sha256).digest()
        self._namespace = digest[:16]
        self._secret = secret
        self._named = lru_cache(maxsize=CACHED)(self._name)
        self.hashed = lru_cache(maxsize=CACHED)(self._hashed)
        self._salt = lru_cache(maxsize=SALTS)(self._salt_of)

    def alias(self, alias_type: AliasType, value: object) -> Alias | None:
        """Return the alias, or None if the value identifies nobody."""
        named = self.named(alias_type, value)
        return None if named is None else named.alias

    def named(self, alias_type: AliasType, value: object) -> Named | None:
        """Return the alias with its strength, or None if the value identifies nobody."""
        if type(value) is not str:
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                return None
            value = str(value)
        return self._named(alias_type, value[: VALUE_LIMIT + 1])

    def _hashed(self, value: str, day: int) -> str:
        """Hash an address or a user agent with the salt of a day: 32 hexadecimal digits.

        day: days of UTC since the epoch. Only hashes of the same day can be compared."""
        message = value.encode(errors="replace")
        return hmac.new(self._salt(day), message, hashlib.sha256).hexdigest()[:32]

    def _salt_of(self, day: int) -> bytes:
        return hmac.new(self._secret, b"desireline context %d" % day, hashlib.sha256).digest()

    def _name(self, alias_type: AliasType, value: str) -> Named | None:
        normalised = normalise(alias_type, value)
        if normalised is None:
            return None
        fragment = named_uuid(self._namespace, f"{alias_type}|{normalised}")
        return Named(alias_type, normalised, fragment, alias_type.strength)


def named_uuid(namespace: bytes, name: str) -> str:
    """Compute `str(uuid.uuid5(UUID(bytes=namespace), name))` in a third of the time.

    It runs for each alias that is not cached. A test compares it with the library."""
    digits = hashlib.sha1(namespace + name.encode(), usedforsecurity=False).hexdigest()
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def normalise(alias_type: AliasType, value: str) -> str | None:
    """Return the canonical form of a value, or None if it identifies nobody."""
    text = value if value.isascii() else unicodedata.normalize("NFC", value)
    text = text.strip().strip(_QUOTES).strip()
    if text.lower() in BLOCKED or not text.strip(_HOLLOW) or len(text) > VALUE_LIMIT:
        return None
    if alias_type is AliasType.EMAIL:
        text = text.lower()
        if not _EMAIL.fullmatch(text) or text.partition("@")[0] in ROLE_MAILBOXES:
            return None
    return text
