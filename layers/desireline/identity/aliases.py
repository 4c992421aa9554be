"""Identifiers of persons at the edge: normalised, refused where they mean nobody, and named so
that they do not tell (delivery rule 15)."""

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
"""Values that senders fill in when they know nobody (case and quotes apart)."""

ROLE_MAILBOXES = frozenset(
    {
        *("abuse", "accounts", "admin", "billing", "contact", "finance", "hello", "help", "hr"),
        *("info", "it", "jobs", "mail", "marketing", "no-reply", "noreply", "office", "postmaster"),
        *("sales", "security", "service", "support", "team", "webmaster"),
    }
)
"""Mailboxes that several people read: such an address identifies no person."""

CACHED = 10_000
"""Names and hashes that an environment keeps, of each some 5 MB: who is about comes again."""

SALTS = 64

_HOLLOW = "0-_. "
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_QUOTES = "\"'`"


_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""What a UUID's variant makes of a digit."""


class Named(NamedTuple):
    """What is wanted of an alias for every event: made once, kept. Its JSON is not kept: what is
    cut off the buffers it is written into cost an environment ten times the memory of the rest."""

    type: AliasType
    value: str
    fragment: str
    strength: int

    @property
    def alias(self) -> Alias:
        """The alias as a model, for those who look at few."""
        return Alias(type=self.type, value=self.value, fragment=self.fragment)


class Fragments:
    """Names fragments. secret: the deployment's; without it a fragment of a known address could be
    computed by anyone, and fragments are Kafka keys."""

    def __init__(self, secret: bytes) -> None:
        digest = hmac.new(secret, b"desireline fragments", hashlib.sha256).digest()
        self._namespace = digest[:16]
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
            if isinstance(value, bool) or not isinstance(value, (str, int)):
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
        fragment = named_uuid(self._namespace, f"{alias_type}|{normalised}")
        return Named(alias_type, normalised, fragment, alias_type.strength)


def named_uuid(namespace: bytes, name: str) -> str:
    """`str(uuid.uuid5(UUID(bytes=namespace), name))` at a third of its time: it runs for each alias
    of each stranger, and the library goes by way of an integer. A test holds it to the library."""
    digits = hashlib.sha1(namespace + name.encode(), usedforsecurity=False).hexdigest()
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def normalise(alias_type: AliasType, value: str) -> str | None:
    """The value in its one form, or None where it identifies nobody."""
    text = value if value.isascii() else unicodedata.normalize("NFC", value)
    text = text.strip().strip(_QUOTES).strip()
    if text.lower() in BLOCKED or not text.strip(_HOLLOW) or len(text) > VALUE_LIMIT:
        return None
    if alias_type is AliasType.EMAIL:
        text = text.lower()
        if not _EMAIL.fullmatch(text) or text.partition("@")[0] in ROLE_MAILBOXES:
            return None
    return text
