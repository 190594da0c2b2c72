"""The endings of `docs/charge-safety.md`, cell by cell: every status, every kind of body."""

from __future__ import annotations

import json

import pytest

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import (
    Busy,
    Charge,
    Done,
    Failed,
    Outcome,
    Purpose,
    Refused,
    Reply,
    Running,
)
from seedream_cli.providers import PROVIDERS

STATUSES = range(100, 600)
HTML = b"<!doctype html><html><body><h1>Attention Required! | Cloudflare</h1></body></html>"
KINDS = ("envelope", "html", "empty")

REFUSED = {400, 401, 402, 403, 404, 413, 415, 422, 451}
SYNCHRONOUS = {"ark", "byteplus", "uniall", "openai-images"}
NOT_BILLED = {408, 500, 502, 503, 504, 529}
"""OpenRouter's own words for a generation that failed, and is not billed; not 524."""
KIE_REFUSED = REFUSED | {433, 505}


def error_body(name: str, status: int) -> bytes:
    """Return an error in a provider's own words, as it would come with this status."""
    match name:
        case "ark" | "byteplus":
            said: object = {"error": {"code": "SomethingElse", "message": "no", "param": ""}}
        case "uniall" | "openai-images":
            said = {"error": {"message": "no", "type": "some_error", "code": None}}
        case "fal":
            said = {"detail": "no"}
        case "wavespeed":
            said = {"code": status, "message": "no", "data": None}
        case "replicate":
            said = {"title": "No", "detail": "no", "status": status}
        case "openrouter":
            said = {"error": {"code": status, "message": "no"}}
        case "kie" | "kie-seedream":
            said = {"code": status, "msg": "no", "data": None}
        case "seedreams":
            said = {"code": -1, "message": "something.else"}
        case _:
            pytest.fail("say here how this provider writes an error")
    return json.dumps(said).encode()


def body_of(name: str, status: int, kind: str) -> bytes:
    """Return one of the three kinds of body."""
    return {"envelope": error_body(name, status), "html": HTML, "empty": b""}[kind]


def table(name: str, status: int, kind: str) -> type:
    """Return the class that the table gives to the ending of a submit."""
    # Without Retry-After, and of a type that does not speak of a rate, a gateway's is no Busy.
    if status == 429 and name != "openai-images":
        return Busy
    if kind != "envelope":
        return UnreadableReply
    if name.startswith("kie"):
        if status == 455:
            return Busy
        return Refused if status in KIE_REFUSED else UnreadableReply
    # Synchronous, with an error where the images should be.
    failures = NOT_BILLED if name == "openrouter" else {200} if name in SYNCHRONOUS else set()
    if status in failures:
        return Failed
    refused = REFUSED | {429} if name == "openai-images" else REFUSED
    return Refused if status in refused else UnreadableReply


def ending(name: str, reply: Reply) -> type:
    """Return the class of what a reply is read as."""
    try:
        return type(PROVIDERS[name].dialect.decode(reply))
    except UnreadableReply:
        return UnreadableReply


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_submit_ends_as_the_table_says(name: str, kind: str) -> None:
    """For each status the class of a submit's ending is the one in the table."""
    for status in STATUSES:
        body = body_of(name, status, kind)
        reply = Reply(purpose=Purpose.SUBMIT, status=status, headers={}, body=body)
        assert ending(name, reply) is table(name, status, kind), (status, kind)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("purpose", Purpose)
def test_every_reply_is_read_or_unreadable(name: str, purpose: Purpose) -> None:
    """For each purpose, status and kind of body there is an outcome, or `UnreadableReply`."""
    for status in STATUSES:
        for kind in KINDS:
            body = body_of(name, status, kind)
            reply = Reply(purpose=purpose, status=status, headers={}, body=body)
            allowed = {Running, Done, Failed, Refused, Busy, UnreadableReply}
            assert ending(name, reply) in allowed


@pytest.mark.parametrize("name", [n for n, p in PROVIDERS.items() if p.dialect.poll])
def test_polls_go_on_through_trouble(name: str) -> None:
    """No error page and no server error of a poll ends a job; only the account can stop it."""
    for status in STATUSES:
        for kind in KINDS:
            body = body_of(name, status, kind)
            reply = Reply(purpose=Purpose.POLL, status=status, headers={}, body=body)
            got = ending(name, reply)
            assert got in {Running, Busy, UnreadableReply, Refused}
            if got is Refused:
                assert kind == "envelope"
                assert status in {401, 402, 403, 433}


FREE_TYPES = (
    "runner_server_error",
    "runner_disconnected",
    "runner_scheduling_failure",
    "client_cancelled",
    "internal_error",
    "request_timeout",
    "startup_timeout",
)


@pytest.mark.parametrize("kind", FREE_TYPES)
def test_fals_own_failures_cost_nothing(kind: str) -> None:
    """A failure that is fal's own is not charged, in the state of a request and in its result."""
    state = {"status": "COMPLETED", "request_id": "1", "error": "no", "error_type": kind}
    told = {"detail": "no", "error_type": kind}
    for purpose, status, said in ((Purpose.POLL, 200, state), (Purpose.RESULT, 500, told)):
        body = json.dumps(said).encode()
        reply = Reply(purpose=purpose, status=status, headers={}, body=body)
        outcome = PROVIDERS["fal"].dialect.decode(reply)
        assert isinstance(outcome, Failed)
        assert outcome.charge is Charge.NONE


@pytest.mark.parametrize("kind", KINDS)
def test_fals_results_end_a_request_only_in_its_own_words(kind: str) -> None:
    """What the second question is answered with is an outcome, or trouble that is asked again."""
    for status in STATUSES:
        body = body_of("fal", status, kind)
        reply = Reply(purpose=Purpose.RESULT, status=status, headers={}, body=body)
        got = ending("fal", reply)
        if kind != "envelope":
            assert got is (Busy if status == 429 else UnreadableReply), status
        elif status in {422, 499} or (status >= 500 and status not in {502, 503, 504}):
            assert got is Failed, status
        else:
            expected = {401: Refused, 402: Busy, 403: Busy, 404: Running, 429: Busy}
            assert got is expected.get(status, UnreadableReply), status


@pytest.mark.parametrize("status", [502, 503, 504])
def test_fals_gateway_ends_no_request(status: int) -> None:
    """A bare 503 to the question for a result is asked again; one that names its type is an end."""
    told = {"detail": "Service Unavailable"}
    for more, expected in (({}, UnreadableReply), ({"error_type": "runner_disconnected"}, Failed)):
        body = json.dumps(told | more).encode()
        reply = Reply(purpose=Purpose.RESULT, status=status, headers={}, body=body)
        assert ending("fal", reply) is expected


ENDLESS = "1" + "0" * 400


def test_no_number_is_too_large_to_be_read() -> None:
    """A wait or a cost beyond all sense is none, and the rest of the answer counts."""
    waits = f'{{"detail": "slow down", "status": 429, "retry_after": {ENDLESS}}}'.encode()
    reply = Reply(purpose=Purpose.SUBMIT, status=429, headers={}, body=waits)
    busy = PROVIDERS["replicate"].dialect.decode(reply)
    assert isinstance(busy, Busy)
    assert busy.retry_after is None
    for cost in (ENDLESS, "1e300"):
        body = f'{{"data": [{{"b64_json": "aGk="}}], "usage": {{"cost": {cost}}}}}'.encode()
        reply = Reply(purpose=Purpose.SUBMIT, status=200, headers={}, body=body)
        done = PROVIDERS["openrouter"].dialect.decode(reply)
        assert isinstance(done, Done)
        assert done.cost is None


@pytest.mark.parametrize("name", ["kie", "kie-seedream"])
@pytest.mark.parametrize("status", [200, 302, 400, 401, 422, 429, 500, 503])
def test_kies_code_outweighs_the_status(name: str, status: int) -> None:
    """A submit at KIE ends by the code in its body, whatever HTTP status carries it."""
    for code in STATUSES:
        body = error_body(name, code)
        reply = Reply(purpose=Purpose.SUBMIT, status=status, headers={}, body=body)
        # Without a task id, KIE's 200 is no good news, and the HTTP status is what is left.
        expected = UnreadableReply if code == 200 else table(name, code, "envelope")
        assert ending(name, reply) is expected, code


@pytest.mark.parametrize("status", STATUSES)
def test_openrouters_errors_under_200_end_by_their_code(status: int) -> None:
    """An error that comes under HTTP 200 ends as it would under its own status."""
    body = error_body("openrouter", status)
    reply = Reply(purpose=Purpose.SUBMIT, status=200, headers={}, body=body)
    assert ending("openrouter", reply) is table("openrouter", status, "envelope")


ARK_CODES = {
    (400, "MissingParameter"): "invalid_request",
    (400, "InvalidParameter.OversizedImage"): "invalid_request",
    (400, "InvalidImageURL.EmptyURL"): "invalid_request",
    (400, "SensitiveContentDetected"): "content_policy",
    (400, "SensitiveContentDetected.SevereViolation"): "content_policy",
    (400, "InputTextSensitiveContentDetected.PolicyViolation"): "content_policy",
    (400, "OutputImageSensitiveContentDetected.DeepFake"): "content_policy",
    (400, "InputImageRiskDetection"): "content_policy",
    (400, "InvalidEndpoint.ClosedEndpoint"): "invalid_request",
    (401, "AuthenticationError"): "auth",
    (401, "InvalidAccountStatus"): "auth",
    (403, "AccountOverdueError"): "credit",
    (403, "AccessDenied"): "auth",
    (403, "OperationDenied.ServiceNotOpen"): "access",
    (403, "OperationDenied.ServiceOverdue"): "credit",
    (404, "InvalidEndpointOrModel.NotFound"): "invalid_request",
    (404, "InvalidEndpointOrModel.ModelIDAccessDisabled"): "access",
    (404, "ModelNotOpen"): "access",
    (404, "UnsupportedModel"): "access",
    (429, "QuotaExceeded"): "credit",
    (429, "SetLimitExceeded"): "credit",
}
ARK_BUSY = {
    "ModelAccountIpmRateLimitExceeded": "rate_limit",
    "ModelAccountRpmRateLimitExceeded": "rate_limit",
    "ModelAccountTpmRateLimitExceeded": "rate_limit",
    "APIAccountRpmRateLimitExceeded": "rate_limit",
    "AccountRateLimitExceeded": "rate_limit",
    "RateLimitExceeded.EndpointRPMExceeded": "rate_limit",
    "RateLimitExceeded.EndpointTPMExceeded": "rate_limit",
    "RequestBurstTooFast": "rate_limit",
    "ServerOverloaded": "busy",
    "InflightBatchsizeExceeded": "busy",
}


def _ark(status: int, code: str) -> Outcome:
    body = json.dumps({"error": {"code": code, "message": "words"}}).encode()
    reply = Reply(purpose=Purpose.SUBMIT, status=status, headers={}, body=body)
    return PROVIDERS["ark"].dialect.decode(reply)


@pytest.mark.parametrize(("status", "code"), ARK_CODES)
def test_arks_refusals_have_our_codes(status: int, code: str) -> None:
    """Each final error code of Ark becomes one of our own, and nothing was charged."""
    outcome = _ark(status, code)
    assert isinstance(outcome, Refused)
    assert outcome.problem.code == ARK_CODES[status, code]
    assert code in outcome.problem.message


@pytest.mark.parametrize("code", ARK_BUSY)
def test_arks_pacing_is_busy(code: str) -> None:
    """Each of Ark's rate and load codes means that the same may be sent later."""
    outcome = _ark(429, code)
    assert isinstance(outcome, Busy)
    assert outcome.problem.code == ARK_BUSY[code]


def test_overload_in_arks_own_words_is_busy_and_a_bare_503_unknown() -> None:
    """Only the provider's envelope can say that nothing was begun."""
    assert isinstance(_ark(503, "ServerOverloaded"), Busy)
    with pytest.raises(UnreadableReply):
        _ark(503, "ServiceUnavailable")
