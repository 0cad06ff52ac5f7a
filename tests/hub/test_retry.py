from types import SimpleNamespace

import pytest

from minerkit.errors import HubError
from minerkit.hub import retry
from minerkit.hub.retry import call_with_retries


class HttpError(Exception):
    """An error with a response, as huggingface_hub raises it."""

    def __init__(self, status: int, text: str = "refused", **headers: str):
        self.response = SimpleNamespace(
            status_code=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        super().__init__(text)


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """The waits between attempts, in seconds; nothing is waited for."""
    waits: list[float] = []
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=waits.append))
    return waits


def retry_until(*outcomes, connected: bool = True):
    """Make a call with these outcomes in turn, the last for ever; return result, attempts and messages."""
    calls, messages = [], []

    def call():
        outcome = outcomes[min(len(calls), len(outcomes) - 1)]
        calls.append(outcome)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return call_with_retries(call, "user/name", "hf_secret", messages.append, connected), len(calls), messages


def test_a_transient_failure_is_retried(waits):
    for status in (408, 409, 412, 429, 500, 502, 503, 504):
        result, calls, messages = retry_until(HttpError(status), "done")
        assert (result, calls, len(messages)) == ("done", 2, 1)


def test_waits_grow_to_a_limit_and_attempts_end(waits):
    with pytest.raises(
        HubError, match="user/name: another commit came first; run the same command again later"
    ):
        retry_until(HttpError(412))
    assert len(waits) == retry.ATTEMPTS - 1
    limits = [min(0.5 * 2**attempt, 30) for attempt in range(len(waits))]
    assert all(limit <= wait <= 1.5 * limit for limit, wait in zip(limits, waits, strict=True))
    assert 90 < sum(waits) < 140


@pytest.mark.parametrize("header", [{"Retry_After": "77"}, {"RateLimit": '"api";r=0;t=77'}])
def test_the_hub_can_request_a_longer_wait(waits, header):
    retry_until(HttpError(429, **header), "done")
    assert waits == [77]


def test_a_rate_limit_that_is_not_exhausted_requests_no_wait(waits):
    retry_until(HttpError(429, RateLimit='"api";r=20;t=77'), "done")
    assert waits[0] < 1


def test_a_refusal_is_reported_at_once_in_one_line_without_the_token(waits):
    with pytest.raises(HubError) as caught:
        retry_until(HttpError(400, "no good:\n\nBearer hf_secret\nis wrong"))
    assert str(caught.value) == "user/name: the Hub refuses (no good: Bearer *** is wrong)"
    assert waits == []


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "hf auth login"), (403, "write access"), (404, "refuses")]
)
def test_the_advice_depends_on_the_status(waits, status, advice):
    with pytest.raises(HubError, match=advice):
        retry_until(HttpError(status))


def test_the_status_of_the_cause_of_an_error_counts(waits):
    error = RuntimeError("Error while uploading 'x' to the Hub.")
    error.__cause__ = HttpError(503)
    assert retry_until(error, "done")[:2] == ("done", 2)


def test_a_lost_connection_is_retried(waits):
    assert retry_until(ConnectionResetError("cut"), "done")[1] == 2


def test_an_unreachable_hub_is_retried_only_after_an_earlier_answer(waits):
    unreachable = type("ConnectError", (ConnectionError,), {})("no such host")
    with pytest.raises(HubError, match="cannot be reached"):
        retry_until(unreachable, connected=False)
    assert waits == []
    assert retry_until(unreachable, "done")[1] == 2


def test_other_errors_are_not_changed(waits):
    with pytest.raises(KeyError):
        retry_until(KeyError("x"))
    with pytest.raises(HubError, match="ours"):
        retry_until(HubError("ours"))
    assert waits == []
