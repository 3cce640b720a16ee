"""Everything on the REST port: the API, preflights of browsers, the page for Prometheus.

What a path does, which headers an answer carries. Source: TF Serving's http_server.cc and http_rest_api_util.cc.
"""

from collections.abc import Mapping
import dataclasses
import re

from estimator_app.serving import request_metrics, rest

_CORS = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "POST, GET"),
    ("access-control-allow-headers", "Content-Type"),
)
_NOT_FOUND_PAGE = (
    b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
)


class RestSite:
    """Answers requests. `answer` may be called from several threads at once."""

    def __init__(
        self,
        api: rest.RestApi,
        counted: request_metrics.RequestMetrics,
        metrics_path: str | None = None,
        cors: bool = False,
    ) -> None:
        """Serves `api` and what stands beside it.

        Args:
            api: what answers below `/v1/`.
            counted: what the page for Prometheus shows.
            metrics_path: where that page is; None for nowhere.
            cors: whether pages of other origins may read the API's answers.
        """
        self._api = api
        self._counted = counted
        self._metrics_path = metrics_path
        self._cors = cors

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> rest.Answer:
        """Answers one request.

        Args:
            method: such as `POST`.
            path: as it was sent, percent-encoded, with the query string.
            headers: names in small letters -> values.
            body: unpacked.
        """
        if method == "GET" and path.partition("?")[0] == self._metrics_path:
            return rest.Answer(200, self._counted.page().encode("utf-8"), "text/plain")
        if path[:4].lower() != "/v1/":
            return rest.Answer(404, _NOT_FOUND_PAGE, "text/html")
        if method == "OPTIONS":
            allowed = re.search("https?://", headers.get("origin", ""))
            answer = rest.Answer(200 if allowed else 400, b"")
        else:
            answer = self._api.answer(method, path, body)
        return dataclasses.replace(answer, headers=_CORS) if self._cors else answer
