"""The paths of Gradus's own API that the benchmark asks for, and the name of one metric, in one place."""

import urllib.parse

# Bytes of request bodies, over all routes.
RECEIVED_BYTES = "gradus_received_bytes_total"


def resolve_path(reference):
    """Where a reference such as `acme/bench:^1` resolves."""
    return "/v1/resolve?reference=" + urllib.parse.quote(reference, safe="/:")


def versions_path(workload):
    """The first page of a workload's versions."""
    return f"/v1/workloads/{workload}/versions"
