"""Random requests, files and answers for the server and the client; `python -m tests.fuzz --help`."""
