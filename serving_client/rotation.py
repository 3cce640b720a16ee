"""Which of several addresses is asked next."""

import itertools
import time
from typing import Callable, Collection, Optional, Sequence


class Rotation:
    """The addresses of one client, and which of them were unavailable a moment ago.

    Threads may share it: what they race for is only the order.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        balance: str = "round_robin",
        hold_secs: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes every address for available.

        Args:
            addresses: One or more.
            balance: `round_robin` or `pick_first`; see ClientSettings.
            hold_secs: For how many seconds an address that was unavailable is asked last.
            clock: Returns the time in seconds.
        """
        self._addresses = tuple(addresses)
        # One sequence of places for all calls; pick_first begins at the first each time.
        size = len(self._addresses) if balance == "round_robin" else 1
        self._starts = itertools.cycle(range(size))
        self._hold_secs = hold_secs
        self._clock = clock
        self._held_until: dict[str, float] = {}

    def pick(self, tried: Collection[str] = ()) -> Optional[str]:
        """Returns the next address to ask that is not among those tried; None if all are.

        An address on hold is only picked if there is no other.
        """
        if len(self._addresses) == 1:
            return None if tried else self._addresses[0]
        start = next(self._starts)
        left = [
            address
            for address in self._addresses[start:] + self._addresses[:start]
            if address not in tried
        ]
        now = self._clock()
        ready = [address for address in left if self._held_until.get(address, now) <= now]
        return next(iter(ready or left), None)

    def failed(self, address: str) -> None:
        """Puts an address on hold."""
        self._held_until[address] = self._clock() + self._hold_secs

    def answered(self, address: str) -> None:
        """Takes an address off hold."""
        self._held_until.pop(address, None)
