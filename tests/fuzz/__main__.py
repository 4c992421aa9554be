"""`make fuzz`: coverage-guided fuzzing of every verifier and mapping, for as long as one likes.

    python -m tests.fuzz --seconds 600 --sender hubspot
    python -m tests.fuzz --again build/fuzz/crash-…      # one input once more

An input is a sender, a way in, and a body: as it stands with a header that is part of the input, or
signed as the sender signs. Nothing may make a 5xx or an exception; the same body must be the same
events. What is found becomes a test: tests/unit/receive/senders.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["desireline.receive", "desireline.plan"]):
    from desireline.receive.request import WebhookRequest
    from desireline.receive.senders import NAMES, load_senders
    from desireline.receive.senders.direct import CALLS
    from tests.worlds.receiving import NOW, SECRET, World

    load_senders()

from desireline.errors import RefusedError
from desireline_local.sender_side.samples import CALLED, load
from desireline_local.sender_side.signing import sign

FOLDER = Path("build/fuzz")
ORDER = sorted(NAMES)
CALL_NAMES = sorted(CALLS)
BARE, SIGNED, PACKED = range(3)
LARGEST = 20_000


ODD = (
    *("", "0", "null", "\x00", "\ud7ff", "²", "a" * 300, "1e999", "2026-13-40T99:99:99Z", "@"),
    *(0, -1, 2**53 + 1, 2**63, 1e308, True, False, None, [], {}, [[]], {"": {}}, [None]),
    json.loads("[" * 300 + "]" * 300),
)


def mutated(data: bytes, largest: int, seed: int) -> bytes:
    """Two of three times the document with something else in one place, or with nothing there;
    else what libFuzzer makes of the bytes. Bytes alone seldom stay a document."""
    chance = random.Random(seed)
    head, body = data[:3], data[3:]
    try:
        document = json.loads(body)
        found = _places(document)
    except (ValueError, RecursionError):
        document, found = None, []
    if not found or chance.random() < 1 / 3:
        return atheris.Mutate(data, largest)
    container, key = chance.choice(found)
    match chance.randrange(4):
        case 0:
            del container[key]
        case 1:
            other, place = chance.choice(found)
            container[key] = json.loads(json.dumps(other[place]))
        case _:
            container[key] = chance.choice(ODD)
    return (head + json.dumps(document).encode())[:largest]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a document: a container, and a key or an index of it."""
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    else:
        return []
    return [(value, key) for key in keys] + [one for key in keys for one in _places(value[key])]


class Fuzz:
    """One pair of doors for all inputs: making them costs more than an input does."""

    def __init__(self, only: str | None) -> None:
        self._only = only
        self._first, self._second = World(), World()
        self._samples = {name: load(name).samples for name in ORDER}

    def __call__(self, data: bytes) -> None:
        """Raises AssertionError for an input that must not do what it does."""
        if len(data) < 3:
            return
        name = self._only or ORDER[data[0] % len(ORDER)]
        request = self._request(name, data[1] % 3, data[2], data[3:])
        answers = []
        for world in (self._first, self._second):
            world.pending, world.durable, world.refreshes = [], [], 0
            world.counts.clear()
            answers.append(world.receive(request))
        assert answers[0].status < 500, answers[0]
        assert answers[0] == answers[1]
        assert self._first.durable == self._second.durable
        if answers[0].status == 200 and answers[0].reply is None:
            assert len(self._first.events()) == answers[0].accepted
            assert len(self._first.quarantined()) == answers[0].quarantined

    def _request(self, name: str, way: int, detail: int, body: bytes) -> WebhookRequest:
        samples = self._samples[name]
        sample = samples[detail % len(samples)]
        url = sample.call_url or f"{CALLED}{name}"
        call = CALL_NAMES[detail % len(CALL_NAMES)] if name == "direct" else ""
        theirs = {header.lower(): value for header, value in sample.headers.items()}
        if way == BARE:
            value, _, body = body.partition(b"\n")
            given = value.decode("latin-1")
            headers = {header: given for header in sample.signed(name, SECRET, NOW).headers}
            return WebhookRequest(name, headers, body, url=url, call=call)
        try:
            headers = sign(name, body, SECRET, NOW, url=url, headers=theirs)
        except RefusedError:
            headers = theirs
        if way == PACKED:
            headers = {**headers, "content-encoding": "gzip"}
        return WebhookRequest(name, headers, body, "203.0.113.7", url=url, call=call)

    def seeds(self, folder: Path) -> None:
        """Every sample, signed and bare."""
        folder.mkdir(parents=True, exist_ok=True)
        for place, name in enumerate(ORDER):
            for number, sample in enumerate(self._samples[name]):
                for way, before in ((SIGNED, b""), (BARE, b"t=1,v1=0\n")):
                    head = bytes([place, way, number])
                    seed = folder / f"{name}-{number}-{way}"
                    seed.write_bytes(head + before + sample.content[:LARGEST])

    def words(self, file: Path) -> None:
        """The names in the samples: what a mutation could hardly guess."""
        found: set[str] = set()
        for samples in self._samples.values():
            for sample in samples:
                found |= _names(sample.body)
        plain = sorted(word for word in found if word.isascii() and word.isprintable())
        escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in plain)
        file.write_text("".join(f'"{word}"\n' for word in escaped if word))


def _names(value: object) -> set[str]:
    if isinstance(value, dict):
        inner = [_names(one) for one in value.values()]
        return set(value).union(*inner)
    if isinstance(value, list):
        return set().union(*[_names(one) for one in value])
    return set()


def main() -> None:
    """The command. Ends with 0 when the time is over and nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long")
    parser.add_argument("--sender", choices=ORDER, help="this one alone")
    parser.add_argument("--again", type=Path, help="an input that was found")
    options = parser.parse_args()
    fuzz = Fuzz(options.sender)
    if options.again:
        fuzz(options.again.read_bytes())
        return
    corpus, words = FOLDER / "corpus", FOLDER / "words"
    fuzz.seeds(corpus)
    fuzz.words(words)
    settings = [
        f"-max_total_time={options.seconds}",
        f"-max_len={LARGEST}",
        f"-artifact_prefix={FOLDER}/",
        f"-dict={words}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *settings], fuzz, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
