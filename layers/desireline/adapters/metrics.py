"""The Metrics port on Powertools: one EMF line per invocation. Only a handler flushes it."""

from __future__ import annotations

from aws_lambda_powertools.metrics import Metrics as PowertoolsMetrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from desireline.contracts import METRICS_NAMESPACE


class EmfMetrics:
    """Adds counts without dimensions to the invocation's line. Others get a line each."""

    def __init__(self, metrics: PowertoolsMetrics) -> None:
        self._metrics = metrics

    def count(self, name: str, value: int = 1, **dimensions: str) -> None:
        if not dimensions:
            self._metrics.add_metric(name, MetricUnit.Count, value)
            return
        with single_metric(
            name=name, unit=MetricUnit.Count, value=value, namespace=METRICS_NAMESPACE
        ) as metric:
            for dimension, dimension_value in dimensions.items():
                metric.add_dimension(dimension, dimension_value)
