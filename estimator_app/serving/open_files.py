"""How many files and connections the process may have open."""

import logging
import resource

_logger = logging.getLogger(__name__)

# A thousand connections on each of two ports, and what models and TensorFlow open.
_ENOUGH = 4096


def raise_limit() -> int:
    """Raises the process's own limit as far as the system lets it; says so if that is little.

    Returns:
        the limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError) as error:  # such as a hard limit beyond the kernel's own
            _logger.warning("The limit of %d open files could not be raised: %s", soft, error)
    if soft != resource.RLIM_INFINITY and soft < _ENOUGH:
        _logger.warning(
            "Expected room for %d open files, found %d. Raise the hard limit (ulimit -Hn), or many "
            "connections at once will be refused.",
            _ENOUGH,
            soft,
        )
    return soft
