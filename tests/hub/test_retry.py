from types import SimpleNamespace

import pytest

from minerkit.errors import HubError
from minerkit.hub import retry
from minerkit.hub.retry import patiently


class Answer(Exception):
    """An error with a response, as huggingface_hub raises it."""

    def __init__(self, status: int, text: str = "said no", **headers: str):
        self.response = SimpleNamespace(
            status_code=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        super().__init__(text)


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """What was waited, without waiting."""
    found: list[float] = []
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=found.append))
    return found


def insist(*outcomes, first: bool = False):
    """Call what raises these outcomes in turn, the last for ever; the result, the calls and what was said."""
    calls, said = [], []

    def call():
        outcome = outcomes[min(len(calls), len(outcomes) - 1)]
        calls.append(outcome)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return patiently(call, "user/name", "hf_secret", said.append, first), len(calls), said


def test_a_passing_failure_is_followed_by_another_call(waits):
    for status in (408, 409, 412, 429, 500, 502, 503, 504):
        result, calls, said = insist(Answer(status), "done")
        assert (result, calls, len(said)) == ("done", 2, 1)


def test_waits_grow_to_their_bound_and_end(waits):
    with pytest.raises(
        HubError, match="user/name: another commit came first; run the same command again later"
    ):
        insist(Answer(412))
    assert len(waits) == retry.TRIES - 1
    bounds = [min(0.5 * 2**attempt, 30) for attempt in range(len(waits))]
    assert all(bound <= wait <= 1.5 * bound for bound, wait in zip(bounds, waits, strict=True))
    assert 90 < sum(waits) < 140


@pytest.mark.parametrize("header", [{"Retry_After": "77"}, {"RateLimit": '"api";r=0;t=77'}])
def test_the_hub_may_ask_for_a_longer_wait(waits, header):
    insist(Answer(429, **header), "done")
    assert waits == [77]


def test_a_window_that_is_not_used_up_asks_for_nothing(waits):
    insist(Answer(429, RateLimit='"api";r=20;t=77'), "done")
    assert waits[0] < 1


def test_a_refusal_is_one_line_at_once_without_the_token(waits):
    with pytest.raises(HubError) as caught:
        insist(Answer(400, "no good:\n\nBearer hf_secret\nis wrong"))
    assert str(caught.value) == "user/name: the Hub refuses (no good: Bearer *** is wrong)"
    assert waits == []


@pytest.mark.parametrize(
    ("status", "word"), [(401, "hf auth login"), (403, "write access"), (404, "refuses")]
)
def test_what_to_do_follows_from_the_status(waits, status, word):
    with pytest.raises(HubError, match=word):
        insist(Answer(status))


def test_the_status_behind_an_upload_error_counts(waits):
    failed = RuntimeError("Error while uploading 'x' to the Hub.")
    failed.__cause__ = Answer(503)
    assert insist(failed, "done")[:2] == ("done", 2)


def test_a_lost_connection_is_taken_up_again(waits):
    assert insist(ConnectionResetError("cut"), "done")[1] == 2


def test_a_connection_never_made_is_final_at_first_only(waits):
    away = type("ConnectError", (ConnectionError,), {})("no such host")
    with pytest.raises(HubError, match="cannot be reached"):
        insist(away, first=True)
    assert waits == []
    assert insist(away, "done")[1] == 2


def test_faults_of_our_own_come_through(waits):
    with pytest.raises(KeyError):
        insist(KeyError("x"))
    with pytest.raises(HubError, match="ours"):
        insist(HubError("ours"))
    assert waits == []
