"""Runs every benchmark, one after the other: `make bench`."""

from benchmarks import (
    batching_speed,
    client_speed,
    formats_speed,
    input_speed,
    memory,
    model_memory,
    quality,
    server_speed,
)


def main() -> None:
    """Prints all figures."""
    input_speed.main()
    formats_speed.main()
    quality.main()
    memory.main()
    model_memory.main()
    server_speed.main()
    client_speed.main()
    batching_speed.main()


if __name__ == "__main__":
    main()
