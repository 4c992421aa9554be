"""A broker that stops answering without closing its connections."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from desireline_local.kafka.broker import Node


@contextmanager
def frozen(node: Node) -> Iterator[None]:
    """Freeze a node for the block: its connections stay open, but it does not answer."""
    assert node.process is not None
    node.process.send_signal(signal.SIGSTOP)
    # A thread that has not stopped yet could still answer.
    os.waitpid(node.process.pid, os.WUNTRACED)
    try:
        yield
    finally:
        node.process.send_signal(signal.SIGCONT)
