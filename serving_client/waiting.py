"""Waiting until a model can be asked, as a conversation; see `steps`."""

from typing import Callable, Optional

from serving_client import calls as calls_lib
from serving_client import errors, metadata
from serving_client import settings as settings_lib
from serving_client import steps, wire

_AVAILABLE = "AVAILABLE"
_PAUSE_SECS = 0.25


def until_available(
    calls: calls_lib.Calls,
    settings: settings_lib.ClientSettings,
    model: str,
    timeout_secs: float,
    version: Optional[int],
    clock: Callable[[], float],
) -> steps.Conversation[int]:
    """Gives the newest version that is available at every address, once there is one.

    Args:
        calls: Asks the servers.
        settings: Says which.
        model: The model's name on the servers.
        timeout_secs: How long to wait at most, in seconds.
        version: The version to wait for; None is any.
        clock: Returns the time in seconds.

    Raises:
        errors.DeadlineError: There was none in time; says what there was.
    """
    request = wire.GetModelStatusRequest()
    request.model_spec.name = model
    if version is not None:
        request.model_spec.version.value = version
    end = clock() + timeout_secs
    while True:
        common: Optional[set[int]] = None
        states = {}
        for address in settings.addresses:
            available: set[int] = set()
            states[address] = "no answer yet"
            left_secs = end - clock()
            if left_secs > 0:
                call = calls.options({"timeout_secs": min(left_secs, settings.timeout_secs)})
                try:
                    response = yield from calls.ask_once(address, "GetModelStatus", request, call)
                except (
                    errors.NotFoundError,
                    errors.UnavailableError,
                    errors.DeadlineError,
                ) as error:
                    states[address] = error.details or "no answer"
                else:
                    found = metadata.from_status_response(response)
                    available = {one.version for one in found if one.state == _AVAILABLE}
                    states[address] = "; ".join(map(_describe, found)) or "it has no versions"
            common = available if common is None else common & available
            if not common:
                break
        if common:
            return max(common)
        if end - clock() <= _PAUSE_SECS:
            raise _late(settings, model, timeout_secs, states)
        yield steps.Pause(_PAUSE_SECS)


def _late(
    settings: settings_lib.ClientSettings, model: str, timeout_secs: float, states: dict[str, str]
) -> errors.DeadlineError:
    """Returns the error for no version in time.

    Args:
        settings: Says which servers were asked.
        model: The model's name.
        timeout_secs: How long was waited, in seconds.
        states: What was there, by the addresses up to the one that lacks what those before it have.
    """
    *before, (address, state) = states.items()
    shown = "".join(f"; at {other}, {there.rstrip('.')}" for other, there in before)
    return errors.DeadlineError(
        f"Model {model!r} at {address} was not available within {timeout_secs:g} s: "
        f"{state.rstrip('.')}{shown}.",
        model=model,
        address=address,
        timeout_secs=timeout_secs,
    )


def _describe(status: metadata.VersionStatus) -> str:
    """Returns one version's state in words."""
    reason = f" ({status.error_message})" if status.error_message else ""
    return f"version {status.version} is {status.state}{reason}"
