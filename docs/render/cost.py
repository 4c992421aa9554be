"""Render docs/cost.md: the prices, the standing costs, and the way from a run to a bill."""

from __future__ import annotations

from desireline_operate.cost.prices import MONTH_HOURS, Price, list_prices
from docs.render.markdown import table

_COUNTED = """The cost of events is measured. `make bench ONLY=cost` sends the simulator's company \
through the running local cloud, with one and with ten events per webhook. It counts the units \
that AWS would bill. [performance.md](performance.md) lists under *cost* the counts times the \
prices below, for a million events by component. It lists the cost of an enrolment separately, \
because the number of enrolments depends on the playbooks' audience."""

_HOW = (
    ("HTTP API, invocations, state transitions, calls of SQS, SNS, S3 and Secrets Manager",
     "each call, in the local AWS"),
    ("DynamoDB's units", "the sizes of items. A write costs a unit per started KB, and twice as "
     "many in a transaction. A consistent read costs a unit per started 4 KB of each item. An "
     "absent item costs a unit, also within a batch of reads"),
    ("functions' time", "the CPU seconds of a warm invocation, stretched if the function's memory "
     "in prod (`cdk.json`) gives it less than a core, plus 5 ms for each call and 10 ms for each "
     "flush to Kafka, with the function's own memory. Concurrent writes count as if each waited. "
     "The elapsed time on a laptop includes waiting for an emulator, so it is not used; "
     "performance.md shows its mean"),
    ("logs", "bytes that the functions wrote, and 26 for each line; Lambda writes no own lines"),
    ("traces", "5 % of the invocations, X-Ray's default rule, except for functions behind a "
     "mapping of Kafka, which X-Ray does not trace"),
    ("Kafka", "bytes on the broker's disk, compressed as sent and stored for the topic's "
     "retention; two thirds of the written and read bytes cross a zone"),
    ("archive", "files of the local 5 s window (AWS has 60 s, so fewer files), and uncompressed "
     "bytes that Snowpipe loads"),
)  # fmt: skip

_RISEN = """This way of counting raised the published cost, although the system costs no more than \
before. Earlier counts gave reads in batches 0.88 units per event at ten events per webhook, and \
1.37 at one; the true numbers are about 6.6 and 12. Traces and the time of calls were counted too \
high. In total a million events then cost \
about 4.1 to 4.4 $ at ten per webhook, and 8.6 to 9.2 $ at one. The latest run counted 4.5 and 5.7 \
read units, and 3.48 $ and 6.21 $: score remembers absorbed subjects, and on a slower machine \
batches are larger. The measured company is two weeks old. An event costs more for users with a \
longer history: \
`cost.mature.write_units.*` shows 14, 60 and 365 days."""

_SCALE_DAYS = (1, 3, 10, 30, 100, 300, 1_000)
"""Million events per day."""

_SCALE = """The price of a million events holds at any scale, and more events share the standing \
costs. This table assumes {events:.2f} $ for a million events. It counts the brokers and pollers \
above at every scale, but large loads need more of both. At 10 million events per day the standing \
costs are {fixed:.2f} $ per million. Standard brokers would save 447 $ per month there, and one \
poller unit instead of two {poller:.0f} $. Most changes of the code save less."""

PER_MILLION = 3.48
"""Dollars for a million events at ten per webhook, as `make bench ONLY=cost` counted them."""
MONTH_DAYS = 30

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
            _RISEN,
            _LEFT_OUT,
            "## Standing costs",
            "The stage prod with a topic and an export as sources, in a month of 730 hours. A test "
            "compares these numbers with the templates.",
            table(
                ("item", "count", "list price, $", "$ per month"),
                [*floor, ("**total**", "", "", f"**{total:,.0f}**")],
            ),
            "## At scale",
            _SCALE.format(
                events=PER_MILLION,
                fixed=total / (10 * MONTH_DAYS),
                poller=prices.of("poller_unit", MONTH_HOURS),
            ),
            table(
                (
                    "million events per day",
                    "standing, $ per million",
                    "events, $ per million",
                    "total, $ per million",
                    "standing share",
                    "$ per month",
                ),
                (_at_scale(total, millions) for millions in _SCALE_DAYS),
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


def _at_scale(standing: float, millions: int) -> tuple[str, ...]:
    """Return a row: the standing costs and the cost of events at this many million per day."""
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
