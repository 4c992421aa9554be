"""docs/cost.md: the prices, what stands, and how a run becomes a bill."""

from __future__ import annotations

from desireline_operate.cost.prices import Price, list_prices
from docs.render.markdown import table

_COUNTED = """What events cost is measured, not assumed. `make bench ONLY=cost` sends the \
simulator's company through the running local cloud, one event a webhook and ten, and has counted \
what AWS would bill of it. The counts times the prices below, for a million events, are in \
[performance.md](performance.md) under *cost*, by component; so is an enrolment, from its first \
check to its end, which is apart because their number depends on the playbooks' audience and not \
on the events."""

_HOW = (
    ("HTTP API, invocations, DynamoDB's units, state transitions, calls of SQS, SNS, S3 and "
     "Secrets Manager", "each call, in the local AWS"),
    ("functions' time", "the seconds that a core worked for a function's environments, stretched "
     "where the memory that `cdk.json` gives it in prod buys less than a core, and a wait of 5 ms "
     "for each call and of 10 ms for each flush to Kafka. The time that passes on a laptop waits "
     "for an emulator and is no measure; its mean is shown beside it"),
    ("logs", "bytes that the functions wrote, and 26 for each line; Lambda's own lines are off"),
    ("traces", "five of a hundred invocations: X-Ray's default rule"),
    ("Kafka", "bytes on the broker's disk, compressed as they are sent; kept for the topic's "
     "retention; two thirds of what is written and read cross a zone"),
    ("archive", "files written, by the local window of 5 s (60 s on AWS, so fewer), and bytes "
     "loaded by Snowpipe, unpacked"),
)  # fmt: skip

_LEFT_OUT = """Not in it: what is stored in DynamoDB and S3 (0.25 $ and 0.023 $ a GB and month), \
Snowflake's warehouses and storage, metrics (0.30 $ each a month; Kafka's mappings and brokers \
report some hundreds), calls of KMS (buckets and tables use a data key for minutes), text \
messages, and data to the internet."""


def cost_page() -> str:
    """The page."""
    prices = list_prices()
    standing = [(one, prices.monthly(one)) for one in prices.floor]
    floor = [
        (one.what, one.count, _price(prices.prices[one.price]), f"{dollars:,.0f}")
        for one, dollars in standing
    ]
    total = sum(dollars for _, dollars in standing)
    return "\n\n".join(
        [
            "# What it costs",
            "Rendered from `operate/desireline_operate/cost/prices.yaml` by `make docs`. Nothing "
            "has run on AWS yet: a first month's bill will correct this.",
            _COUNTED,
            "## What is counted",
            table(("what", "how"), _HOW),
            _LEFT_OUT,
            "## What stands",
            "The stage prod with a topic and an export as sources, a month of 730 hours; a test "
            "counts these in its templates.",
            table(
                ("what", "how many", "list price, $", "$ a month"),
                [*floor, ("**together**", "", "", f"**{total:,.0f}**")],
            ),
            "## Prices",
            f"List prices of {prices.region}, without free tiers and discounts. *Secondary*: read "
            "in another's account of the list.",
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
