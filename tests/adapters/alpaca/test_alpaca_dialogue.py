"""Keys, subscriptions and their answers: what is asked, what an answer confirms, what each error means."""

import pytest

from tests.adapters.alpaca.talk import (
    CRYPTO,
    D1,
    ENCODINGS,
    IEX,
    M1,
    QUOTES,
    TEST,
    TRADES,
    asked,
    frame,
    heard,
    memory,
    parsed,
    said,
)
from wickwire import Accepted, Fault, FaultKind, Ready, Refused, Released, Send, Topic

both = pytest.mark.parametrize("encoding", ENCODINGS)

AAPL, MSFT, TSLA = (Topic(symbol, M1) for symbol in ("AAPL", "MSFT", "TSLA"))


def subscription(**channels):
    return [{"T": "subscription", **channels}]


def error(code, text="no"):
    return [{"T": "error", "code": code, "msg": text}]


# ---------------------------------------------------------------------------------------------------- keys


def test_the_keys_go_out_after_the_welcome_and_only_as_a_secret():
    assert parsed("connected") == (Send('{"action":"auth","key":"PKTEST","secret":"hush"}', secret=True),)


def test_in_msgpack_the_keys_are_packed_too():
    [send] = parsed("connected", "msgpack")

    assert isinstance(send.frame, bytes)
    assert send.secret


@both
def test_connected_is_not_yet_authenticated(encoding):
    assert Ready() not in parsed("connected", encoding)
    assert parsed("authenticated", encoding) == (Ready(),)


def test_an_unknown_success_means_nothing():
    assert said([{"T": "success", "msg": "thanks"}], memory()) == ()


# --------------------------------------------------------------------------------------------------- asking


@both
def test_one_request_asks_for_all_channels(encoding):
    [request] = asked(
        [AAPL, Topic("AAPL", D1), Topic("MSFT", TRADES), Topic("MSFT", QUOTES), MSFT],
        [],
        memory(IEX, encoding),
    )

    assert request == {
        "action": "subscribe",
        "bars": ["AAPL", "MSFT"],
        "updatedBars": ["AAPL", "MSFT"],
        "statuses": ["AAPL", "MSFT"],
        "dailyBars": ["AAPL"],
        "trades": ["MSFT"],
        "quotes": ["MSFT"],
    }


def test_the_test_feed_is_asked_for_what_it_has():
    """A channel that it does not have would be refused with all the others (410)."""
    assert asked([Topic("FAKEPACA", M1)], [], memory(TEST)) == [{"action": "subscribe", "bars": ["FAKEPACA"]}]


def test_what_is_left_is_said_before_what_is_joined():
    actions = [request["action"] for request in asked([AAPL], [MSFT], memory())]

    assert actions == ["unsubscribe", "subscribe"]


def test_nothing_is_said_where_there_is_nothing_to_say():
    assert asked([], [], memory()) == []


# --------------------------------------------------------------------------------------- the whole set, back


@both
def test_an_answer_is_the_whole_set_and_confirms_what_was_asked_last(encoding):
    heard_by = memory(IEX, encoding)
    asked([MSFT], [], heard_by)
    message = frame("subscription_stocks", encoding)

    assert heard(message, heard_by) == (Accepted([MSFT]),)
    assert heard(message, heard_by) == (), "nobody asked for anything more"


@pytest.mark.parametrize(
    ("account", "name", "topic"),
    [
        (CRYPTO, "subscription_crypto", Topic("BTC/USD", TRADES)),
        (TEST, "subscription_test", Topic("FAKEPACA", QUOTES)),
        (IEX, "subscription_stocks", Topic("AAPL", D1)),
    ],
)
def test_each_feed_names_its_own_channels(account, name, topic):
    heard_by = memory(account)
    asked([topic], [], heard_by)

    assert heard(frame(name), heard_by) == (Accepted([topic]),)


def test_channels_without_symbols_may_be_missing_or_null():
    heard_by = memory()
    asked([], [AAPL], heard_by)

    assert said(subscription(bars=None), heard_by) == (Released([AAPL]),)


def test_what_is_not_in_the_set_is_not_confirmed():
    heard_by = memory()
    asked([AAPL, MSFT], [], heard_by)

    assert said(subscription(bars=["AAPL"]), heard_by) == (Accepted([AAPL]),)
    assert said(subscription(bars=["AAPL", "MSFT"]), heard_by) == (Accepted([MSFT]),)


def test_answers_come_in_order_so_leaving_and_joining_the_same_are_told_apart():
    """The set before it was left holds it too: it must not count as the answer to joining it anew."""
    heard_by = memory()
    asked([], [AAPL], heard_by)
    asked([AAPL], [], heard_by)

    assert said(subscription(bars=["AAPL", "MSFT"]), heard_by) == ()
    assert said(subscription(bars=["MSFT"]), heard_by) == (Released([AAPL]),)
    assert said(subscription(bars=["AAPL", "MSFT"]), heard_by) == (Accepted([AAPL]),)


def test_what_is_asked_for_anew_is_awaited_once():
    heard_by = memory()
    asked([AAPL, MSFT], [], heard_by)
    asked([AAPL, MSFT], [], heard_by)
    said(subscription(bars=["AAPL", "MSFT"]), heard_by)

    assert not heard_by.asked


def test_the_star_of_a_recorded_session_means_everything():
    heard_by = memory()
    asked([AAPL], [], heard_by)

    assert said(subscription(bars=["*"]), heard_by) == (Accepted([AAPL]),)


# -------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, FaultKind.SYMBOL),
        (405, FaultKind.ENTITLEMENT),
        (410, FaultKind.REQUEST),
    ],
)
def test_a_refused_request_names_its_topic_or_leaves_it_to_halves(code, kind):
    heard_by = memory()
    asked([AAPL, MSFT], [], heard_by)

    [several] = said(error(code), heard_by)
    asked([TSLA], [], heard_by)
    [one] = said(error(code), heard_by)

    assert several == Refused((), kind, f"{code} no")
    assert one == Refused([TSLA], kind, f"{code} no")
    assert not heard_by.asked


@both
def test_a_limit_leaves_the_set_as_it_was(encoding):
    """405 answers the request for one more; what was confirmed before is not touched."""
    heard_by = memory(IEX, encoding)
    asked([AAPL], [], heard_by)
    said(subscription(bars=["AAPL"]), heard_by)
    asked([TSLA], [], heard_by)

    [refused] = said(error(405, "symbol limit exceeded"), heard_by)

    assert refused.topics == [TSLA]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401, FaultKind.RESTART),
        (402, FaultKind.CREDENTIALS),
        (404, FaultKind.RESTART),
        (406, FaultKind.SLOT_TAKEN),
        (407, FaultKind.RESTART),
        (408, FaultKind.ENTITLEMENT),
        (409, FaultKind.ENTITLEMENT),
        (411, FaultKind.ENTITLEMENT),
        (412, FaultKind.PROTOCOL),
        (500, FaultKind.RESTART),
        (418, FaultKind.PROTOCOL),
        (400, FaultKind.PROTOCOL),
        (405, FaultKind.PROTOCOL),
        (410, FaultKind.PROTOCOL),
    ],
)
def test_every_other_error_is_about_the_connection(code, kind):
    """The last three, too, where nothing was asked."""
    [fault] = said(error(code), memory())

    assert isinstance(fault, Fault)
    assert fault.kind is kind
    assert fault.text.startswith(f"{code} no")


def test_authenticated_twice_is_harmless():
    assert said(error(403, "already authenticated"), memory()) == ()


def test_refused_keys_are_named_and_so_is_what_works_without():
    [fault] = said(error(402, "auth failed"), memory())

    assert "key and secret" in fault.text
    assert "crypto candles" in fault.text


def test_a_refused_leaving_is_a_fault_and_not_the_answer_to_what_is_joined():
    heard_by = memory()
    asked([TSLA], [MSFT], heard_by)

    [fault] = said(error(400), heard_by)

    assert fault == Fault(FaultKind.REQUEST, "400 no")
    assert said(subscription(bars=["TSLA"]), heard_by) == (Accepted([TSLA]),)


def test_an_error_about_the_connection_answers_no_request():
    heard_by = memory()
    asked([TSLA], [], heard_by)
    said(error(407), heard_by)

    assert said(subscription(bars=["TSLA"]), heard_by) == (Accepted([TSLA]),)
