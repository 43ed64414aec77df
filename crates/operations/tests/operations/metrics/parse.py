"""Reads OpenMetrics text with the parser of Prometheus's own Python client, which is strict, and prints it as JSON."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

text = sys.stdin.buffer.read().decode("utf-8")
families = []
for family in text_string_to_metric_families(text):
    samples = [{"name": s.name, "labels": s.labels, "value": s.value} for s in family.samples]
    families.append(
        {
            "name": family.name,
            "type": family.type,
            "unit": family.unit,
            "help": family.documentation,
            "samples": samples,
        }
    )
json.dump(families, sys.stdout)
