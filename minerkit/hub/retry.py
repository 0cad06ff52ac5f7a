"""Calls to the Hub: made again while what stops them passes, and one clear line where it does not."""

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from minerkit.errors import HubError

__all__ = ["patiently"]

T = TypeVar("T")

#: How often a call is made; the waits double from half a second to half a minute, two minutes in all.
TRIES = 9
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
#: Answers that pass, and what they mean.
PASSING = {
    409: "another commit is under way",
    412: "another commit came first",
    429: "the Hub has had too many requests",
} | dict.fromkeys((408, 500, 502, 503, 504), "the Hub has a fault of its own")
#: Lost connections and cut answers, by the names of their base classes: the Hub's client has changed its HTTP
#: library before, and hf-xet raises what Python has.
LOST = {"TransportError", "ConnectionError", "Timeout", "JSONDecodeError"}
#: Among them those of a connection that was never made.
AWAY = {"ConnectError", "ConnectTimeout", "OfflineModeIsEnabled"}


def patiently(
    call: Callable[[], T], what: str, token: str, say: Callable[[str], None], first: bool = False
) -> T:
    """Call, and call again with growing pauses where the failure is one that passes.

    Args:
        call: What to do; done twice it must do no harm, as an answer may be lost.
        what: What it is about, for the messages.
        token: A secret that no message may show.
        say: Where waiting is announced.
        first: Nothing has been heard of the Hub yet: without a connection, waiting is no use.

    Returns:
        What the call returns.

    Raises:
        HubError: The Hub refuses, cannot be reached, or failed too often.
    """
    for attempt in range(TRIES):
        try:
            return call()
        except HubError:
            raise
        except Exception as error:
            chain = _chain(error)
            status, kinds = _status(chain), {kind.__name__ for link in chain for kind in type(link).__mro__}
            reason = PASSING.get(status) if status else "the connection was lost" if kinds & LOST else None
            if status is None and reason is None and not isinstance(error, ValueError | RuntimeError):
                raise  # not the Hub's
            if reason is None or attempt == TRIES - 1 or (first and kinds & AWAY):
                line = " ".join(_line(error, status, kinds, reason).split())
                raise HubError(f"{what}: {line}".replace(token, "***")) from error
            wait = max(min(FIRST_WAIT * 2**attempt, LONGEST_WAIT) * random.uniform(1, 1.5), _asked(chain))
            say(f"{what}: {reason}; trying again in {wait:.1f} s")
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _line(error: Exception, status: int | None, kinds: set[str], reason: str | None) -> str:
    """Say what is wrong and what to do."""
    if "OfflineModeIsEnabled" in kinds:
        return "HF_HUB_OFFLINE is set; unset it and run the same command again"
    if kinds & AWAY:
        return f"the Hub cannot be reached ({error}); check the network and HF_ENDPOINT"
    if reason:
        return f"{reason}; run the same command again later: what is uploaded is not sent twice"
    if status == 401:
        return "the Hub does not accept the token; log in again with `hf auth login`, or set another HF_TOKEN"
    if status == 403:
        return f"the token may not do this; use one with write access, or another name ({error})"
    return f"the Hub refuses ({error})"


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (link := chain[-1].__cause__ or chain[-1].__context__) is not None and link not in chain:
        chain.append(link)
    return chain


def _status(chain: list[BaseException]) -> int | None:
    """Find the HTTP status behind an error, if there is one."""
    answers = (getattr(getattr(link, "response", None), "status_code", None) for link in chain)
    return next((answer for answer in answers if answer is not None), None)


def _asked(chain: list[BaseException]) -> float:
    """Give the seconds that the Hub asks to wait: Retry-After, or the end of a window that is used up."""
    for link in chain:
        headers = getattr(getattr(link, "response", None), "headers", {})
        named = (headers.get("Retry-After", ""), headers.get("RateLimit", ""))
        if found := re.fullmatch(r"(\d+)", named[0]) or re.search(r"\br=0\s*;\s*t=(\d+)", named[1]):
            return float(found[1])
    return 0.0
