"""Call the Hub: retry after transient failures, and turn all others into one clear line."""

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from minerkit.errors import HubError

__all__ = ["call_with_retries"]

T = TypeVar("T")

#: Attempts of a call; the waits double from half a second to half a minute, two minutes in all.
ATTEMPTS = 9
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
#: HTTP statuses of transient failures, with their meaning.
TRANSIENT = {
    409: "another commit is under way",
    412: "another commit came first",
    429: "the Hub has had too many requests",
} | dict.fromkeys((408, 500, 502, 503, 504), "the Hub has a fault of its own")
#: Errors of a lost connection or an incomplete response, by the names of their base classes: the Hub's client
#: has changed its HTTP library before, and hf-xet raises Python's own errors.
CONNECTION_LOST = {"TransportError", "ConnectionError", "Timeout", "JSONDecodeError"}
#: Errors of a connection that was never established, a subset of the above.
UNREACHABLE = {"ConnectError", "ConnectTimeout", "OfflineModeIsEnabled"}


def call_with_retries(
    call: Callable[[], T], subject: str, token: str, notify: Callable[[str], None], connected: bool = True
) -> T:
    """Make a call, and retry with growing waits after transient failures.

    Args:
        call: The call; it must be idempotent, since a response may be lost.
        subject: The repository, for the messages.
        token: A secret that no message may show.
        notify: Receives a message before each wait.
        connected: Whether the Hub has answered before; if not, an unreachable Hub fails at once.

    Returns:
        The result of the call.

    Raises:
        HubError: The Hub refuses, cannot be reached, or failed too often.
    """
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except HubError:
            raise
        except Exception as error:
            chain = _error_chain(error)
            status, classes = _http_status(chain), {base.__name__ for e in chain for base in type(e).__mro__}
            reason = _transient_reason(status, classes)
            if status is None and reason is None and not isinstance(error, ValueError | RuntimeError):
                raise  # not an error of the Hub or its client
            unreachable = not connected and classes & UNREACHABLE
            if reason is None or attempt == ATTEMPTS - 1 or unreachable:
                message = " ".join(_error_message(error, status, classes, reason).split())
                raise HubError(f"{subject}: {message}".replace(token, "***")) from error
            wait = min(FIRST_WAIT * 2**attempt, LONGEST_WAIT) * random.uniform(1, 1.5)
            wait = max(wait, _requested_wait(chain))
            notify(f"{subject}: {reason}; trying again in {wait:.1f} s")
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _transient_reason(status: int | None, classes: set[str]) -> str | None:
    """Return the reason of a transient failure; None if retrying is no use."""
    if status:
        return TRANSIENT.get(status)
    return "the connection was lost" if classes & CONNECTION_LOST else None


def _error_message(error: Exception, status: int | None, classes: set[str], reason: str | None) -> str:
    """Explain what is wrong and what to do."""
    if "OfflineModeIsEnabled" in classes:
        return "HF_HUB_OFFLINE is set; unset it and run the same command again"
    if classes & UNREACHABLE:
        return f"the Hub cannot be reached ({error}); check the network and HF_ENDPOINT"
    if reason:
        return f"{reason}; run the same command again later: what is uploaded is not sent twice"
    if status == 401:
        return "the Hub does not accept the token; log in again with `hf auth login`, or set another HF_TOKEN"
    if status == 403:
        return f"the token may not do this; use one with write access, or another name ({error})"
    return f"the Hub refuses ({error})"


def _error_chain(error: BaseException) -> list[BaseException]:
    """List an error and its causes."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain


def _http_status(chain: list[BaseException]) -> int | None:
    """Find the HTTP status in a chain of errors, if there is one."""
    statuses = (getattr(getattr(error, "response", None), "status_code", None) for error in chain)
    return next((status for status in statuses if status is not None), None)


def _requested_wait(chain: list[BaseException]) -> float:
    """Return the seconds that the Hub asks to wait: Retry-After, or the rest of an exhausted rate limit."""
    for error in chain:
        headers = getattr(getattr(error, "response", None), "headers", {})
        retry_after, rate_limit = headers.get("Retry-After", ""), headers.get("RateLimit", "")
        seconds = re.fullmatch(r"(\d+)", retry_after) or re.search(r"\br=0\s*;\s*t=(\d+)", rate_limit)
        if seconds:
            return float(seconds[1])
    return 0.0
