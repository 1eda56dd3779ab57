"""schemathesis reads the OpenAPI document and sends requests that it allows or forbids."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

KEY = "teacher-key-0123456789"
EXAMPLES = 20  # of each operation
# A schema cannot say which queries are valid, such as that one must not be empty.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]


@pytest.mark.parametrize("keys", [[], [{"key": KEY, "name": "staff", "teacher": True}]])
def test_every_operation_replies_as_the_document_describes(
    live_server: Any, keys: list[Any]
) -> None:
    """No 5xx, and no reply that the document does not describe."""
    with live_server(api_keys=keys, service={"jobs": 5}) as address:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        operations = [result.ok() for result in schema.get_all_operations()]
        assert len(operations) > 20
        for operation in operations:
            _check_operation(operation, {"Authorization": f"Bearer {KEY}"} if keys else {})


def _check_operation(operation: Any, headers: dict[str, str]) -> None:
    @seed(0)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        case.call_and_validate(headers=headers, timeout=60, checks=CHECKS)

    check()
