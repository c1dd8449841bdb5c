"""The way in: secrets, the conversation that brings a token, how long it lasts, and how it may fail."""

import json
from typing import Any

import pytest

import wickwire_dxlink
from tests.adapters.dxlink.talk import MINUTE, NOW_NS, endpoint, frame, hear, sent
from wickwire import (
    SECOND_NS,
    Account,
    Endpoint,
    FaultKind,
    Feed,
    HttpReply,
    Readiness,
    Topic,
    VenueError,
    WireError,
    iso,
)
from wickwire_dxlink.dialogue import Session

SECRETS = {"client_secret": "shh-client-secret", "refresh_token": "shh-refresh-token"}
ACCESS = {"access_token": "shh-access", "token_type": "Bearer", "expires_in": 900}
GRANTED = {"token": "shh-quote-token", "dxlink-url": "wss://example.invalid/realtime", "level": "api"}
DAY_S = 86_400.0


def reply(told, status=200, **headers):
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return HttpReply(status=status, body=body, headers=headers)


def talk(account=None, topics=()):
    return wickwire_dxlink.connect(account or Account(secrets=SECRETS), topics, NOW_NS)


def granted(account=None, *, topics=(), date_ns=None, **more):
    """Return the requests of a conversation that goes well, and the endpoint it ends with."""
    conversation = talk(account, topics)
    requests = [next(conversation), conversation.send(reply(ACCESS))]
    told = {"data": GRANTED | more, "context": "/api-quote-tokens"}
    with pytest.raises(StopIteration) as stop:
        conversation.send(HttpReply(status=200, body=json.dumps(told).encode(), date_ns=date_ns))
    return requests, stop.value.value


def test_a_token_is_fetched_for_each_connection():
    (login, ask), told = granted()

    assert ("POST", "https://api.tastyworks.com/oauth/token") == (login.method, login.url)
    assert {"grant_type": "refresh_token", **SECRETS} == json.loads(login.body)
    assert "Authorization" not in login.headers
    assert ("GET", "https://api.tastyworks.com/api-quote-tokens") == (ask.method, ask.url)
    assert "Bearer shh-access" == ask.headers["Authorization"]
    assert "wss://example.invalid/realtime" == told.url
    assert Readiness.ON_EVENT is told.ready


def test_every_request_names_product_and_version():
    """Without them tastytrade answers with a page of HTML."""
    requests, _ = granted()

    assert ["wickwire/0.1.0"] * 2 == [one.headers["User-Agent"] for one in requests]
    assert ["application/json"] * 2 == [one.headers["Accept"] for one in requests]


def test_the_token_waits_in_memory_and_answers_the_question_for_it():
    _, told = granted()
    memory = told.memory()
    [auth] = hear(memory, frame("AUTH_STATE", state="UNAUTHORIZED"))

    assert {"type": "AUTH", "channel": 0, "token": "shh-quote-token"} == json.loads(auth.frame)
    assert auth.secret
    assert told.memory() is not memory


def test_no_secret_is_shown():
    requests, told = granted()

    assert "shh" not in repr((requests, told, told.memory()))


def test_a_connection_ends_before_its_token_does():
    """A day, less ten minutes: the next connection has a token of its own."""
    _, told = granted()

    assert DAY_S - 600 == told.max_age_s


def test_a_token_that_lasts_shorter_is_renewed_sooner_by_the_venues_clock():
    venue_ns = NOW_NS + 7 * SECOND_NS
    _, told = granted(date_ns=venue_ns, **{"expires-at": iso(venue_ns + 3_600 * SECOND_NS)})

    assert 3_000.0 == told.max_age_s


def test_a_token_that_claims_to_last_longer_is_not_believed():
    _, told = granted(**{"expires-at": iso(NOW_NS + 7 * 86_400 * SECOND_NS)})

    assert DAY_S - 600 == told.max_age_s


@pytest.mark.parametrize("scale", [1, 1_000])
def test_an_end_may_be_a_number_of_seconds_or_milliseconds(scale):
    _, told = granted(**{"expires-at": (NOW_NS // SECOND_NS + 3_600) * scale})

    assert 3_000.0 == told.max_age_s


@pytest.mark.parametrize("said", ["tomorrow", "", "0", None, 0, -1, 1e300])
def test_an_end_that_cannot_be_read_is_no_end(said):
    _, told = granted(**{"expires-at": said})

    assert DAY_S - 600 == told.max_age_s


def test_a_token_that_is_over_is_still_used_for_a_minute():
    _, told = granted(**{"expires-at": iso(NOW_NS)})

    assert 60.0 == told.max_age_s


def test_the_sandbox_has_another_address():
    (login, ask), _ = granted(Account(environment="sandbox", secrets=SECRETS))

    assert all(one.url.startswith("https://api.cert.tastyworks.com/") for one in (login, ask))


def test_the_demo_needs_no_token():
    told = endpoint("demo")

    assert isinstance(told, Endpoint)
    assert ("wss://demo.dxfeed.com/dxlink-ws", None) == (told.url, told.max_age_s)
    assert Session(opened_ns=NOW_NS) == told.memory()


def test_channels_are_opened_for_what_is_meant_to_ride():
    topics = [Topic("AAPL", Feed.TRADES), Topic("AAPL", Feed.QUOTES)]
    memory = endpoint("demo", "", *topics).memory()

    assert [3, 5] == [said["channel"] for said in sent(hear(memory, frame("AUTH_STATE", state="AUTHORIZED")))]


def test_without_topics_it_is_ready_for_candles():
    memory = endpoint("demo").memory()

    assert [1] == [said["channel"] for said in sent(hear(memory, frame("AUTH_STATE", state="AUTHORIZED")))]


def test_the_variant_goes_into_what_is_asked():
    memory: Any = endpoint("demo", "rth_mark", Topic("AAPL", MINUTE)).memory()

    assert (True, "mark") == (memory.variant.regular, memory.variant.price)


def test_a_token_that_is_called_created_is_one():
    """HTTP 201."""
    conversation = talk()
    next(conversation)
    ask = conversation.send(reply(ACCESS, 201))

    assert ask.url.endswith("/api-quote-tokens")


# ------------------------------------------------------------------------------------------------- refusals


LATE = [{"level": "demo"}, {"dxlink-url": "wss://example.invalid/delayed"}]


@pytest.mark.parametrize("said", LATE)
def test_delayed_data_is_refused_where_real_time_was_asked_for(said):
    """It would be taken for the present: buckets of the last quarter would be proven empty."""
    with pytest.raises(VenueError, match="delayed") as refused:
        granted(**said)

    assert FaultKind.ENTITLEMENT is refused.value.kind


@pytest.mark.parametrize("said", LATE)
def test_the_sandbox_is_known_to_be_delayed(said):
    _, told = granted(Account(environment="sandbox", secrets=SECRETS), **said)

    assert isinstance(told, Endpoint)


@pytest.mark.parametrize("missing", ["client_secret", "refresh_token"])
def test_a_missing_secret_is_named_with_what_works_without_it(missing):
    with pytest.raises(VenueError, match=missing) as refused:
        talk(Account(secrets={name: text for name, text in SECRETS.items() if name != missing}))

    assert FaultKind.CREDENTIALS is refused.value.kind
    assert "demo" in str(refused.value)
    assert "shh" not in str(refused.value)


@pytest.mark.parametrize("account", [Account(environment="moon"), Account(environment="demo", feed="nights")])
def test_an_environment_or_variant_that_does_not_exist_is_refused(account):
    with pytest.raises(VenueError, match="there is no") as refused:
        talk(account)

    assert FaultKind.REQUEST is refused.value.kind


NGINX = b"<html>\r\n<head><title>401 Authorization Required</title></head><body><hr>nginx</body></html>"
ERRORS = [
    # as tastytrade's pages and public clients show them: three shapes, and HTML
    (
        400,
        {"error_code": "invalid_grant", "error_description": "Invalid JWT"},
        FaultKind.CREDENTIALS,
        "Invalid JWT",
    ),
    (
        400,
        {"error_code": "invalid_request", "error_description": "User is not a TastyTrade customer"},
        FaultKind.WAIT,
        "customer",
    ),
    (
        401,
        {"error": {"code": "invalid_credentials", "message": "Bad"}},
        FaultKind.CREDENTIALS,
        "invalid_credentials",
    ),
    (401, {"error": {"code": "unauthorized", "message": "Expired"}}, FaultKind.CREDENTIALS, "Expired"),
    (401, NGINX, FaultKind.REQUEST, "User-Agent"),
    (
        404,
        {"error": {"code": "quote_streamer.customer_not_found_error", "message": "You must be a customer"}},
        FaultKind.ENTITLEMENT,
        "customer",
    ),
    (
        403,
        {"error": {"code": "not_permitted", "message": "User not permitted access"}},
        FaultKind.ENTITLEMENT,
        "not",
    ),
    (
        406,
        {"error": {"code": 406, "message": "The requested version"}},
        FaultKind.REQUEST,
        "requested version",
    ),
    (
        422,
        {"error": {"code": "validation", "message": "No", "errors": [{"domain": "x", "reason": "y"}]}},
        FaultKind.REQUEST,
        "validation",
    ),
    # as RFC 6749 has it, which a gateway in front may answer with; and with what is often missing
    (
        400,
        {"error": "invalid_grant", "error_description": "Invalid JWT"},
        FaultKind.CREDENTIALS,
        "invalid_grant Invalid JWT",
    ),
    (401, {"error": "invalid_client"}, FaultKind.CREDENTIALS, "invalid_client"),
    (
        422,
        {"error": {"code": "validation", "message": None, "errors": [{"domain": "x", "reason": "y"}]}},
        FaultKind.REQUEST,
        "validation",
    ),
    (401, {"error": {"code": None, "message": "who?"}}, FaultKind.CREDENTIALS, "who"),
    (401, {"message": "no way in"}, FaultKind.CREDENTIALS, "no way in"),
    (401, b"", FaultKind.CREDENTIALS, "401"),
    (429, b"", FaultKind.WAIT, "429"),
    (500, {"error": {"code": "internal", "message": "oops"}}, FaultKind.OUTAGE, "oops"),
    (502, b"<html>Bad Gateway</html>", FaultKind.OUTAGE, "502"),
]


@pytest.mark.parametrize(("status", "body", "kind", "word"), ERRORS)
@pytest.mark.parametrize("step", [0, 1])
def test_each_refusal_has_its_kind_at_either_request(status, body, kind, word, step):
    conversation = talk()
    next(conversation)
    if step:
        conversation.send(reply(ACCESS))
    with pytest.raises(VenueError, match=word) as refused:
        conversation.send(reply(body, status))

    assert kind is refused.value.kind
    assert "shh" not in str(refused.value)
    if kind is FaultKind.CREDENTIALS:
        assert "client_secret and refresh_token" in str(refused.value)


def test_the_wait_of_a_refusal_is_the_venues_or_one_that_is_known_to_help():
    waits = []
    for told, headers in (({}, {"retry-after": "7"}), (ERRORS[1][1], {}), ({}, {})):
        conversation = talk()
        next(conversation)
        with pytest.raises(VenueError) as refused:
            conversation.send(reply(told, 429, **headers))
        waits.append(refused.value.retry_after_s)

    assert [7.0, 60.0, None] == waits


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"access_token":5}', b"[" * 100_000, b"\xff"]
)
def test_a_yes_without_a_token_is_no_token(body):
    conversation = talk()
    next(conversation)
    with pytest.raises(WireError, match="/oauth/token"):
        conversation.send(reply(body))


@pytest.mark.parametrize(
    "data", [{}, {"token": "shh"}, {"token": "shh", "dxlink-url": "https://example.invalid"}, {"token": None}]
)
def test_a_grant_without_token_and_address_is_none(data):
    conversation = talk()
    next(conversation)
    conversation.send(reply(ACCESS))
    with pytest.raises(WireError, match=r"token|WebSocket") as refused:
        conversation.send(reply({"data": data}))

    assert "shh" not in str(refused.value)
