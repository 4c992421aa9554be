"""docs/cost.md: the prices, what stands, and how a run becomes a bill."""

from __future__ import annotations

from desireline_operate.cost.prices import MONTH_HOURS, Price, list_prices
from docs.render.markdown import table

_COUNTED = """What events cost is measured, not assumed. `make bench ONLY=cost` sends the \
simulator's company through the running local cloud, one event a webhook and ten, and has counted \
what AWS would bill of it. The counts times the prices below, for a million events, are in \
[performance.md](performance.md) under *cost*, by component; so is an enrolment, from its first \
check to its end, which is apart because their number depends on the playbooks' audience and not \
on the events."""

_HOW = (
    ("HTTP API, invocations, state transitions, calls of SQS, SNS, S3 and Secrets Manager",
     "each call, in the local AWS"),
    ("DynamoDB's units", "the sizes of items. A write is a unit for each KB begun, two in a "
     "transaction. A consistent read is a unit for each 4 KB begun of each item, and a unit for an "
     "item that is absent, also within a batch of reads"),
    ("functions' time", "the seconds that a core works for an invocation without a cold start, "
     "stretched where the memory that `cdk.json` gives the function in prod buys less than a core, "
     "and a wait of 5 ms for each call and of 10 ms for each flush to Kafka, with the function's "
     "own memory. Writes that go out at once are counted as if each waited. The time that passes "
     "on a laptop waits for an emulator and is no measure; its mean is shown beside it"),
    ("logs", "bytes that the functions wrote, and 26 for each line; Lambda's own lines are off"),
    ("traces", "five of a hundred invocations, X-Ray's default rule, of functions that no mapping "
     "of Kafka invokes: X-Ray does not trace those"),
    ("Kafka", "bytes on the broker's disk, compressed as they are sent; kept for the topic's "
     "retention; two thirds of what is written and read cross a zone"),
    ("archive", "files written, by the local window of 5 s (60 s on AWS, so fewer), and bytes "
     "loaded by Snowpipe, unpacked"),
)  # fmt: skip

_RISEN = """The published cost has risen with this way of counting, and the system costs no more \
than before. Reads in batches were counted as nothing: 0.88 read units an event at ten a webhook, \
where about 6.6 are true, and 1.37 at one, where 12 are. Traces and the time of calls were counted \
too high. Together a million events cost about 4.1 to 4.4 $ at ten a webhook, and 8.6 to 9.2 $ at \
one. The company of this measurement is two weeks old: the longer a user is there, the more an \
event costs, which `cost.mature.write_units.*` shows for 14, 60 and 365 days."""

_SCALE_DAYS = (1, 3, 10, 30, 100, 300, 1_000)
"""Million events a day."""

_SCALE = """The price of a million events holds at any scale; what stands is divided by more of \
them. This table assumes {events:.2f} $ for a million events. It counts the brokers and pollers \
above at every scale, and large loads need more of both. At 10 million events a day the fixed part \
is {fixed:.2f} $ a million. Standard brokers would save 447 $ a month there, and one poller unit \
instead of two {poller:.0f} $, which is more than most changes of the code."""

PER_MILLION = 4.25
"""Dollars for a million events at ten a webhook, the middle of what was counted."""
MONTH_DAYS = 30

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
            _RISEN,
            _LEFT_OUT,
            "## What stands",
            "The stage prod with a topic and an export as sources, a month of 730 hours; a test "
            "counts these in its templates.",
            table(
                ("what", "how many", "list price, $", "$ a month"),
                [*floor, ("**together**", "", "", f"**{total:,.0f}**")],
            ),
            "## At scale",
            _SCALE.format(
                events=PER_MILLION,
                fixed=total / (10 * MONTH_DAYS),
                poller=prices.of("poller_unit", MONTH_HOURS),
            ),
            table(
                (
                    "million events a day",
                    "fixed, $ a million",
                    "events, $ a million",
                    "together, $ a million",
                    "fixed share",
                    "$ a month",
                ),
                (_at_scale(total, millions) for millions in _SCALE_DAYS),
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


def _at_scale(standing: float, millions: int) -> tuple[str, ...]:
    """A row: what stands and what events cost at so many million events a day."""
    fixed = standing / (millions * MONTH_DAYS)
    whole = fixed + PER_MILLION
    return (
        f"{millions:,}",
        f"{fixed:.2f}",
        f"{PER_MILLION:.2f}",
        f"{whole:.2f}",
        f"{fixed / whole:.0%}",
        f"{whole * millions * MONTH_DAYS:,.0f}",
    )


def _price(price: Price) -> str:
    dollars, unit = _parts(price)
    return f"{dollars} for {unit}"


def _parts(price: Price) -> tuple[str, str]:
    many = f"{price.per:,.0f} " if price.per > 1 else ""
    return f"{price.usd:.10f}".rstrip("0").rstrip("."), f"{many}{price.unit}"
