"""Python's collector of garbage, as an environment that lives long wants it.

By itself it looks at what is there after every 700 objects more, and from time to time at all there
is: in a batch of 500 events a tenth of the time, for objects that are all in use or gone already.
"""

from __future__ import annotations

import gc

OBJECTS = 10_000
"""As many more than there were before it looks: those of a batch of 500 events."""


def settle() -> None:
    """Call it once when all that stays has been made: that is not looked at again."""
    gc.freeze()
    gc.set_threshold(OBJECTS)
