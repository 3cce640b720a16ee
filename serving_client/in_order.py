"""Calls under way side by side, whose results come in the order of the questions."""

import collections
import concurrent.futures
from typing import Callable, Generator, Iterable, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Results that wait for a slow one before them, a call under way: more keep the others busy, and take memory.
_WAITING = 2


def results(
    function: Callable[[Item], Result], items: Iterable[Item], concurrency: int
) -> Generator[Result, None, None]:
    """Yields function's result for each item, in order; items are taken only as results are.

    At most `concurrency` calls are under way, and three items a call in memory. What a call raises
    is raised in its turn; what items raises, after the results before it. The caller closes the
    iterator and ends the calls that are then still under way, if they could take long.

    Args:
        function: Called in threads of its own.
        items: Taken in the thread that asks for the results.
        concurrency: Calls under way at the same time.
    """
    pool = concurrent.futures.ThreadPoolExecutor(concurrency, thread_name_prefix="query")
    pending: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    remaining = iter(items)
    failure: list[Exception] = []
    exhausted = False
    try:
        while True:
            while not exhausted and len(pending) < concurrency * (1 + _WAITING):
                try:
                    pending.append(pool.submit(function, next(remaining)))
                except StopIteration:
                    exhausted = True
                except Exception as error:  # whatever it is, it is raised after what came before it
                    failure.append(error)
                    exhausted = True
            if not pending:
                break
            yield pending.popleft().result()
        if failure:
            raise failure[0]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
