"""How often somebody may try a wrong password: so many times for an account, from wherever, and so many times
from an address, for whichever account. https://pages.nist.gov/800-63-4/sp800-63b.html#throttle"""

import hashlib

from apps.service.access.counting import Counts
from apps.service.access.limits import longest, seconds_of
from apps.service.access.policies import WINDOW, Asked, Policy
from apps.service.problems import Problem

OF_AN_ACCOUNT = Policy("account", WINDOW, 10, 60)
FROM_AN_ADDRESS = Policy("address", WINDOW, 30, 60)  # a class of learners may have one


class Logins:
    def __init__(self, counts: Counts, metrics) -> None:
        self._counts, self._metrics = counts, metrics

    def attempt(self, account: str, address: str) -> None:
        """Count one as wrong before it is verified, so that many at once gain nothing. `account` may be "".
        Raises Problem (429)."""
        asked = attempted(account, address)
        taken, _ = self._counts.take(asked)
        if not taken.inside:
            policy, standing = longest([policy for policy, _ in asked], taken.standings)
            self._metrics.limited("token", "logins")
            detail = f"expected at most {policy.limit} wrong attempts in a minute"
            raise Problem("too-many-requests", detail, [("Retry-After", str(seconds_of(standing)))])

    def succeeded(self, account: str, address: str) -> None:
        """It was not wrong."""
        self._counts.take_back(attempted(account, address))


def attempted(account: str, address: str) -> list[Asked]:
    """People type passwords into the field of the name: it is not kept, and is not in Redis."""
    hashed = hashlib.sha256(account.encode(errors="replace")).hexdigest()
    asked = [(FROM_AN_ADDRESS, f"logins:{address}"), (OF_AN_ACCOUNT, f"logins:{hashed}")]
    return asked if account else asked[:1]
