"""`/openapi.yaml` is true: a valid document, of every route, and what the daemon really answers."""

from __future__ import annotations

import io
from typing import Any

import pytest
import schemathesis
import yaml
from falcon import inspect
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from daemon.api.verification import PATH
from daemon.app import create_app
from daemon.audit import Journal
from daemon.config import Config
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import REPOSITORY
from tests.end_to_end.contract import FIRST, SECOND, TABLE
from tests.running_daemon import RunningDaemon

_EXAMPLES = 60
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
_STATUSES = {1000: {200}, **{code: statuses for code, (_, statuses) in TABLE.items()}}


@pytest.fixture(scope="session")
def schema(daemon: RunningDaemon) -> OpenApiSchema:
    """The document as the daemon serves it, and the daemon behind it."""
    return schemathesis.openapi.from_url(f"{daemon.url}/openapi.yaml")


@pytest.fixture(scope="session")
def document(daemon: RunningDaemon) -> dict[str, Any]:
    """The document as plain values."""
    parsed = yaml.safe_load(daemon.get("/openapi.yaml").body)
    assert isinstance(parsed, dict)
    return parsed


def _promises() -> list[tuple[str, str, str]]:
    """Every operation with what fits the document, and with what does not where there is anything to send."""
    shipped = yaml.safe_load((REPOSITORY / "daemon" / "api" / "openapi.yaml").read_text("utf-8"))
    operations = [(path, method) for path, item in shipped["paths"].items() for method in item]
    modes = {"get": [GenerationMode.POSITIVE], "post": [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]}
    return [(path, method, mode) for path, method in operations for mode in modes[method]]


@pytest.mark.parametrize(("path", "method", "mode"), _promises())
@settings(max_examples=_EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_answer_is_the_one_that_the_document_promises(
    schema: OpenApiSchema, path: str, method: str, mode: str, data: st.DataObject
) -> None:
    case = data.draw(schema[path][method].as_strategy(generation_mode=GenerationMode(mode)))
    # Text that fits the schema is still no sealed photo: that it gets 400 is right.
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "multipart/form-data", "application/json"])
def test_comparison_is_the_answer_that_the_document_promises(
    schema: OpenApiSchema, legacy: LegacyFormat, small: dict[str, bytes], media_type: str
) -> None:
    body: dict[str, Any] = {FIRST: legacy.seal(small["obama"]), SECOND: legacy.seal(small["biden"])}
    response = schema[PATH]["post"].Case(body=body, media_type=media_type).call_and_validate()
    assert response.status_code == 200


def test_document_is_valid_openapi_3_1(schema: OpenApiSchema, document: dict[str, Any]) -> None:
    assert str(document["openapi"]).startswith("3.1.")
    schema.validate()


def test_document_names_every_route_and_no_other(config: Config, document: dict[str, Any]) -> None:
    app = create_app(config, Journal(io.StringIO())).wsgi
    served = {
        (route.path, method.method.lower())
        for route in inspect.inspect_routes(app)
        for method in route.methods
        if not method.internal
    }
    paths = document["paths"]
    assert {(path, method) for path, item in paths.items() for method in _METHODS & set(item)} == served


def test_document_names_every_code_of_the_contract_and_no_other(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["Failure"]["properties"]["code"]["enum"]) == set(TABLE)
    assert schemas["Success"]["properties"]["code"]["const"] == 1000


def test_document_names_every_status_that_a_comparison_can_get(document: dict[str, Any]) -> None:
    verify = document["paths"]["/identity/image_verification/stateless"]
    promised = {int(status) for status in verify["post"]["responses"]}
    # 404 is for other paths, 405 for other methods: neither is an answer of this operation.
    assert promised == set().union(*_STATUSES.values()) - {404, 405}
