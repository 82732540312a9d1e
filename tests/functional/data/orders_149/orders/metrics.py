from collections.abc import Iterable

from conformity import fields
from pymetrics.instruments import Metric
from pymetrics.publishers.base import MetricsPublisher


@fields.ClassConfigurationSchema.provider(fields.Dictionary({"path": fields.UnicodeString()}))
class FilePublisher(MetricsPublisher):
    def __init__(self, path: str) -> None:
        self.path = path

    def publish(
        self, metrics: Iterable[Metric], error_logger: str | None = None, enable_meta_metrics: bool = False
    ) -> None:
        with open(self.path, "a") as file:
            for metric in metrics:
                file.write(f"{metric.name} {metric.value}\n")
