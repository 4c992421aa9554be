"""Render docs/cost.md: the prices, the standing costs, and the way from a run to a bill."""

from __future__ import annotations

from desireline_operate.cost.prices import Price, list_prices
from docs.render.markdown import table

_COUNTED = """The cost of events is measured. `make bench ONLY=cost` sends the simulator's company \
through the running local cloud, with one and with ten events per webhook, and counts the units \
that AWS would bill. [performance.md](performance.md) lists under *cost* the counts times the \
prices below, for a million events by component. It lists the cost of an enrolment separately, \
because the number of enrolments depends on the playbooks' audience."""

_HOW = (
    ("HTTP API, invocations, DynamoDB's units, state transitions, calls of SQS, SNS, S3 and "
     "Secrets Manager", "each call, in the local AWS"),
    ("functions' time", "the CPU seconds of a function's environments, stretched if its memory in "
     "prod (`cdk.json`) gives it less than a core, plus 5 ms for each call and 10 ms for each "
     "flush to Kafka. The elapsed time on a laptop includes waiting for an emulator, so it is not used; "
     "performance.md shows its mean"),
    ("logs", "bytes that the functions wrote, and 26 for each line; Lambda writes no own lines"),
    ("traces", "five of a hundred invocations: X-Ray's default rule"),
    ("Kafka", "bytes on the broker's disk, compressed as sent and stored for the topic's "
     "retention; two thirds of the written and read bytes cross a zone"),
    ("archive", "files of the local 5 s window (AWS has 60 s, so fewer files), and uncompressed "
     "bytes that Snowpipe loads"),
)  # fmt: skip

_LEFT_OUT = """The bill leaves out: storage in DynamoDB and S3 (0.25 $ and 0.023 $ per GB and \
month), Snowflake's warehouses and storage, metrics (0.30 $ each per month; Kafka's mappings and \
brokers have some hundreds), calls of KMS (buckets and tables reuse a data key for minutes), text \
messages, and data to the internet."""


def cost_page() -> str:
    """Render the page."""
    prices = list_prices()
    standing = [(cost, prices.monthly(cost)) for cost in prices.floor]
    floor = [
        (cost.item, cost.count, _price(prices.prices[cost.price]), f"{dollars:,.0f}")
        for cost, dollars in standing
    ]
    total = sum(dollars for _, dollars in standing)
    return "\n\n".join(
        [
            "# Cost",
            "Rendered from `operate/desireline_operate/cost/prices.yaml` by `make docs`. No "
            "deployment has run on AWS yet: the first month's bill will correct these numbers.",
            _COUNTED,
            "## Counted units",
            table(("item", "unit"), _HOW),
            _LEFT_OUT,
            "## Standing costs",
            "The stage prod with a topic and an export as sources, in a month of 730 hours. A test "
            "compares these numbers with the templates.",
            table(
                ("item", "count", "list price, $", "$ per month"),
                [*floor, ("**total**", "", "", f"**{total:,.0f}**")],
            ),
            "## Prices",
            f"List prices of {prices.region}, without free tiers and discounts. *Secondary*: from "
            "a page that quotes the list.",
            table(
                ("name", "$", "for", "read", "source"),
                (
                    (f"`{name}`", *_parts(price), price.read, price.source)
                    for name, price in prices.prices.items()
                ),
            ),
        ]
    )


def _price(price: Price) -> str:
    dollars, unit = _parts(price)
    return f"{dollars} for {unit}"


def _parts(price: Price) -> tuple[str, str]:
    many = f"{price.per:,.0f} " if price.per > 1 else ""
    return f"{price.usd:.10f}".rstrip("0").rstrip("."), f"{many}{price.unit}"
