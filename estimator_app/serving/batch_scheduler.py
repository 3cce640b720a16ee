"""Threads that run batches, and the queues in which tasks become batches.

    scheduler = batch_scheduler.BatchScheduler(num_threads=2, name="batch_threads")
    scheduler.submit(owner, key, task)

The counterpart of TensorFlow's SharedBatchScheduler (shared_batch_scheduler.h): threads take batches from one queue
after the other; the last batch of a queue is open for more tasks until it is full, or until it has waited long
enough and a thread is free. A queue without tasks takes no memory.

A batch that may run as soon as it has its first task is run by the thread that brings the task, if nothing else runs or
waits: handing it over and back costs more than a small model's run.
"""

from collections.abc import Hashable, Sequence
import threading
import time
from typing import Any, Protocol

from estimator_app.serving import batching_parameters
from export import errors


class Task(Protocol):
    """What is batched.

    Attributes:
        rows: how much room it takes in a batch.
    """

    rows: int

    def split(self, sizes: Sequence[int]) -> Sequence[Any]:
        """Returns tasks of these many rows, which together are this one."""


class Owner(Protocol):
    """Whose tasks may share batches: one version of a model.

    Attributes:
        parameters: of its queues.
    """

    parameters: batching_parameters.BatchingParameters

    def process(self, key: Any, tasks: Sequence[Any]) -> None:
        """Runs a batch. Called in any thread; raises nothing."""


class BatchScheduler:
    """Runs batches. Methods may be called from several threads at once."""

    def __init__(self, num_threads: int, name: str) -> None:
        """Starts the threads.

        Args:
            num_threads: how many batches run at once.
            name: what the threads' names begin with.
        """
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        # Those with tasks, in the order in which they take turns.
        self._queues: dict[tuple[Owner, Hashable], _Queue] = {}
        self._running = 0
        self._hurrying = False
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}_{number}", daemon=True)
            for number in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, owner: Owner, key: Hashable, task: Task) -> Sequence[Any]:
        """Puts a task into the queue of `key`.

        Args:
            owner: runs the batch that it gets into.
            key: tasks of one owner with the same key may share a batch.
            task: of one batch's rows at most, unless the parameters let it be split.

        Returns:
            what the owner gets to process: the task, or its parts.

        Raises:
            errors.ServableError: it is too large, or the queue is full.
        """
        now = time.monotonic()
        with self._lock:
            if self._stopped:
                raise _stopped()
            queue = self._queues.get((owner, key)) or _Queue(owner.parameters)
            parts = queue.add(task, now)
            idle = not self._running and not self._queues
            at_once = idle and len(parts) == 1 and self._may_run(queue, now)
            if at_once:
                self._running += 1
            else:
                self._queues[owner, key] = queue
                # A thread takes the batch, or learns how long to wait for it.
                self._changed.notify()
        if at_once:
            self._process(owner, key, parts)
        return parts

    def withdraw(self, owner: Owner) -> list[Any]:
        """Takes the tasks of an owner that still wait out of their queues, and returns them."""
        with self._lock:
            mine = [name for name in self._queues if name[0] is owner]
            queues = [self._queues.pop(name) for name in mine]
        return [task for queue in queues for batch in queue.batches for task in batch.tasks]

    def hurry(self) -> None:
        """From now on no batch waits for more tasks."""
        with self._lock:
            self._hurrying = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Ends the threads once all tasks are processed; stopping twice does no harm."""
        with self._lock:
            self._hurrying = self._stopped = True
            # In the same breath: a thread that waits again in between would wait for ever.
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        """Processes one batch after the other."""
        while True:
            with self._lock:
                taken = self._take()
                while taken is None:
                    if self._stopped and not self._queues:
                        return
                    self._changed.wait(self._wait_secs())
                    taken = self._take()
                self._running += 1
                if self._queues:
                    # This thread may have been the one that waited for another queue's time.
                    self._changed.notify()
            (owner, key), batch = taken
            self._process(owner, key, batch.tasks)

    def _process(self, owner: Owner, key: Hashable, tasks: Sequence[Any]) -> None:
        """Runs a batch that counts as running, and lets the next one run."""
        try:
            owner.process(key, tasks)
        finally:
            with self._lock:
                self._running -= 1
                if self._queues:
                    self._changed.notify()

    def _take(self) -> "tuple[tuple[Owner, Hashable], _Batch] | None":
        """The next batch that may run; its queue is then the last in turn."""
        now = time.monotonic()
        for name, queue in self._queues.items():
            if self._may_run(queue, now):
                del self._queues[name]
                batch = queue.batches.pop(0)
                if queue.batches:
                    self._queues[name] = queue
                return name, batch
        return None

    def _may_run(self, queue: "_Queue", now: float) -> bool:
        """Whether the first batch's time has come, and there is room for it."""
        return self._running < len(self._threads) and (self._hurrying or queue.due <= now)

    def _wait_secs(self) -> float | None:
        """How long until a batch may run, in seconds; None if nothing but a call of `notify` makes it so."""
        if self._running >= len(self._threads):
            return None
        due = min((queue.due for queue in self._queues.values()), default=None)
        return None if due is None else min(max(due - time.monotonic(), 0), threading.TIMEOUT_MAX)


class _Batch:
    """Tasks that run together."""

    def __init__(self, due: float) -> None:
        self.due = due
        self.tasks: list[Any] = []
        self.rows = 0


class _Queue:
    """The batches that wait for a thread; the last one is open for more tasks.

    Attributes:
        batches: the oldest first; one at least after the first task.
    """

    def __init__(self, parameters: batching_parameters.BatchingParameters) -> None:
        self._parameters = parameters
        self.batches: list[_Batch] = []

    @property
    def due(self) -> float:
        """When the first batch may run, even if nothing more comes."""
        first = self.batches[0]
        full = len(self.batches) > 1 or first.rows >= self._parameters.rows_per_batch
        return 0.0 if full else first.due

    def add(self, task: Task, now: float) -> Sequence[Any]:
        """Puts a task into the open batch and, where it does not fit, into new ones.

        Raises:
            errors.ServableError: it is too large, or the queue is full.
        """
        limit = self._parameters.rows_per_batch
        self._check_capacity(task)
        sizes = self._sizes(task.rows) if self._parameters.enable_large_batch_splitting else []
        parts = task.split(sizes) if len(sizes) > 1 else [task]
        for part in parts:
            if not self.batches or self.batches[-1].rows + part.rows > limit:
                self.batches.append(_Batch(now + self._parameters.batch_timeout_micros / 1e6))
            self.batches[-1].tasks.append(part)
            self.batches[-1].rows += part.rows
        return parts

    def _sizes(self, rows: int) -> list[int]:
        """The parts of a task: what the open batch has room for, then whole batches, then the rest."""
        sizes = []
        room = self._parameters.rows_per_batch - self._open_rows
        while rows:
            sizes.append(min(rows, room or self._parameters.rows_per_batch))
            rows -= sizes[-1]
            room = self._parameters.rows_per_batch
        return sizes

    @property
    def _open_rows(self) -> int:
        return self.batches[-1].rows if self.batches else 0

    def _check_capacity(self, task: Task) -> None:
        parameters = self._parameters
        if task.rows > parameters.max_batch_size:
            raise errors.invalid_argument(
                f"Task size {task.rows} is larger than maximum input batch size "
                f"{parameters.max_batch_size}"
            )
        # An open batch without tasks counts as one.
        waiting = max(len(self.batches), 1)
        if parameters.enable_large_batch_splitting:
            limit = parameters.rows_per_batch
            new_batches = parameters.max_enqueued_batches - waiting
            capacity = new_batches * limit + limit - self._open_rows
            if task.rows > capacity:
                raise _full(
                    f"task size is {task.rows} but scheduling capacity is only {capacity} "
                    f"(num_enqueued_batches={waiting}, "
                    f"max_enqueued_batches={parameters.max_enqueued_batches}, "
                    f"open_batch_size={self._open_rows}, max_execution_batch_size={limit})"
                )
        elif self._open_rows + task.rows > parameters.max_batch_size:
            allowed = max(parameters.max_enqueued_batches, 1)
            if waiting >= allowed:
                raise _full(
                    f"currently {waiting} batches enqueued and max_enqueued_batches is {allowed}"
                )


def _full(found: str) -> errors.ServableError:
    return errors.ServableError(
        errors.Code.UNAVAILABLE,
        f"The batch scheduling queue to which this task was submitted is full; {found}",
    )


def _stopped() -> errors.ServableError:
    return errors.ServableError(errors.Code.CANCELLED, "The server has stopped.")
