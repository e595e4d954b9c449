"""The paths of Gradus's own API that the benchmark asks for, and the name of one metric, in one place."""

import urllib.parse

# Bytes of blobs received.
RECEIVED_BYTES = "gradus_received_bytes_total"


def resolve_path(workload, tag):
    """Where `workload:tag` resolves."""
    return f"/v1/workloads/{workload}/resolve/{urllib.parse.quote(tag, safe='')}"


def versions_path(workload):
    """The first page of a workload's versions."""
    return f"/v1/workloads/{workload}/versions"
