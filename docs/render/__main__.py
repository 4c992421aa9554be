"""Render documents from code and data, so that they agree with it.

`python -m docs.render` writes the documents. A test compares the committed files with them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from desireline import contracts, events
from desireline.rows import ANNOUNCED_TABLES
from docs.render.cost import cost_page
from docs.render.event_names import event_names
from docs.render.markdown import table
from docs.render.openapi import openapi_page
from docs.render.playbooks import playbooks_page
from docs.render.senders import senders_page
from docs.render.tracking_plan import tracking_plan_page
from docs.render.tracking_plan_schema import tracking_plan_schema

ROOT = Path(__file__).parents[2]


def contracts_page() -> str:
    """Render topics, consumer groups, tables and messages from the code that uses them."""
    topics = table(
        ("topic", "key", "value", "use", "partitions dev / prod", "kept", "replicas, in sync"),
        (
            (
                f"`{topic}`",
                spec.key,
                f"`{spec.value.removeprefix('events.')}`",
                spec.use,
                f"{spec.partitions_dev} / {spec.partitions_prod}",
                f"{spec.retention.days} days",
                f"{spec.replication}, {spec.min_insync_replicas}",
            )
            for topic, spec in contracts.TOPICS.items()
        ),
    )
    groups = table(
        ("function", "topic", "consumer group"),
        (
            (f"`{function}`", f"`{topic}`", f"`{contracts.consumer_group(function, topic)}`")
            for function, consumed in contracts.CONSUMED_TOPICS.items()
            for topic in consumed
        ),
    )
    tables = table(
        ("table", "its stream is announced"),
        ((f"`{name}`", "yes" if name in ANNOUNCED_TABLES else "no") for name in contracts.Table),
    )
    return "\n\n".join(
        [
            "# Contracts",
            "Rendered from `desireline.contracts` and `desireline.events` by `make docs`. "
            "All times are integers in epoch milliseconds.",
            "## Topics",
            topics,
            "## Retention",
            table(
                ("stored objects", "retention"),
                (
                    (
                        f"archive of `{contracts.Topic.WEBHOOKS_RAW}`",
                        f"{contracts.RAW_RETENTION.days} days",
                    ),
                    (
                        "dead letters of event source mappings",
                        f"{contracts.DEAD_LETTER_RETENTION.days} days",
                    ),
                ),
            ),
            "## Consumer groups",
            groups,
            "## Tables",
            tables,
            "## Messages",
            *(_message(spec.value) for spec in contracts.TOPICS.values()),
        ]
    )


def _message(name: str) -> str:
    model: type[events.Message] = getattr(events, name.removeprefix("events."))
    fields = table(
        ("field", "type", "required"),
        (
            (f"`{field}`", f"`{_type_name(info.annotation)}`", "yes" if info.is_required() else "")
            for field, info in model.model_fields.items()
        ),
    )
    summary = (model.__doc__ or "").strip().partition("\n")[0]
    return f"### {model.__name__}\n\n{summary}\n\n{fields}"


def _type_name(annotation: object) -> str:
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__name__
    return str(annotation).replace("desireline.events.", "").replace("typing.", "")


PAGES: dict[str, Callable[[], str]] = {
    "docs/contracts.md": contracts_page,
    "docs/cost.md": cost_page,
    "docs/openapi.yaml": openapi_page,
    "docs/playbooks.md": playbooks_page,
    "docs/senders.md": senders_page,
    "docs/tracking_plan.md": tracking_plan_page,
    "docs/tracking_plan.schema.json": tracking_plan_schema,
    "layers/desireline/plan/event_names.py": event_names,
}
"""Path below the repository's top -> its renderer."""


def main() -> None:
    """Write every rendered document."""
    for path, render in PAGES.items():
        (ROOT / path).write_text(render().rstrip() + "\n")
        typer.echo(f"rendered {path}")


if __name__ == "__main__":
    main()
