"""Draw the people: accounts, their owners and members, and visitors. The seed decides the names."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

_FIRST = (
    *("Ada", "Amir", "Bea", "Chen", "Dana", "Emre", "Farah", "Grace", "Hugo", "Ines", "Jonas"),
    *("Kaya", "Liam", "Mina", "Noor", "Omar", "Petra", "Quinn", "Rosa", "Sven", "Tara", "Uma"),
)
_LAST = (
    *("Abel", "Berg", "Castro", "Dietz", "Eriksen", "Fontaine", "Gupta", "Haas", "Ito", "Jansen"),
    *("Kim", "Lopez", "Meyer", "Novak", "Okafor", "Park", "Rossi", "Silva", "Tanaka", "Weiss"),
)
_BRIGHT = ("Bright", "Clear", "North", "Blue", "Iron", "Swift", "Green", "Stone", "Open", "Quiet")
_FORGE = ("forge", "field", "path", "works", "harbor", "stack", "ridge", "loop", "mill", "craft")
_AGENTS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1 Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
)
_ZONES = ("Europe/Berlin", "America/New_York", "America/Los_Angeles", "Europe/London")


@dataclass(frozen=True, kw_only=True)
class Account:
    """A company on trial. csm: its customer success manager. late: whether senders name the account
    only some hours after the signup."""

    group: str
    name: str
    domain: str
    customer: str
    subscription: str
    csm: str
    late: bool


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person. user: None for a visitor who never signs up. devices: anonymous ids."""

    key: str
    user: str | None
    email: str | None
    name: str
    devices: tuple[str, ...]
    address: str
    agent: str
    zone: str
    account: Account | None = None
    owner: bool = False

    @property
    def hint(self) -> str:
        """The journey of the person in the simulator: the account's, else the person's own."""
        return self.account.group if self.account else self.key


@dataclass(frozen=True)
class Staff:
    """An account with its people, the owner first."""

    account: Account
    people: tuple[Person, ...] = field(default_factory=tuple)


def uuid_of(rng: Random) -> str:
    """Draw a UUID in the form that browser libraries generate."""
    bits = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[rng.getrandbits(2)]
    return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-{variant}{bits[17:20]}-{bits[20:]}"


def staff(rng: Random, seed: int, index: int, *, members: int, late: bool) -> Staff:
    """Draw an account and its people. Ids contain seed and index, so two companies share none."""
    label = f"{seed:x}{index:05d}"
    word = rng.choice(_BRIGHT) + rng.choice(_FORGE)
    account = Account(
        group=f"acct_{label}",
        name=f"{word} {rng.choice(['Inc', 'GmbH', 'Ltd', 'Labs'])}",
        domain=f"{word.lower()}{index}.example",
        customer=f"cus_{label}",
        subscription=f"sub_{label}",
        csm=rng.choice(["csm-lena", "csm-raj", "csm-tom"]),
        late=late,
    )
    zone, office = rng.choice(_ZONES), _address(rng)
    people = tuple(
        _employee(rng, account, number, zone=zone, address=office) for number in range(members + 1)
    )
    return Staff(account, people)


def visitor(rng: Random, seed: int, index: int) -> Person:
    """Draw a visitor who never signs up."""
    return Person(
        key=f"visitor_{seed:x}{index:05d}",
        user=None,
        email=None,
        name="",
        devices=(uuid_of(rng),),
        address=_address(rng),
        agent=rng.choice(_AGENTS),
        zone=rng.choice(_ZONES),
    )


def _employee(rng: Random, account: Account, number: int, *, zone: str, address: str) -> Person:
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    user = f"u_{account.group.removeprefix('acct_')}_{number}"
    # Some owners use a second device at home. Members have one device.
    devices = 2 if number == 0 and rng.random() < 0.3 else 1
    return Person(
        key=user,
        user=user,
        email=f"{first}.{last}{number}@{account.domain}".lower(),
        name=f"{first} {last}",
        devices=tuple(uuid_of(rng) for _ in range(devices)),
        address=address,
        agent=rng.choice(_AGENTS),
        zone=zone,
        account=account,
        owner=number == 0,
    )


def _address(rng: Random) -> str:
    # RFC 2544 reserves these addresses for tests.
    return f"198.{18 + rng.getrandbits(1)}.{rng.getrandbits(8)}.{1 + rng.randrange(254)}"
