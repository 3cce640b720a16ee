"""Everything on the REST port: the API, preflights of browsers, the pages for Prometheus and for people.

What a path does, which headers an answer carries. Source: TF Serving's http_server.cc and http_rest_api_util.cc.
"""

from collections.abc import Mapping
import dataclasses
import re

from estimator_app.serving import browser_page, request_metrics, rest

_CORS = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "POST, GET"),
    ("access-control-allow-headers", "Content-Type"),
)
# The page loads nothing from elsewhere, stands in no frame of another, and is never stale.
_PAGE_HEADERS = (
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'self'; img-src data:; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
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
        page: browser_page.BrowserPage | None = None,
    ) -> None:
        """Serves `api` and what stands beside it.

        Args:
            api: what answers below `/v1/`.
            counted: what the page for Prometheus shows.
            metrics_path: where that page is; None for nowhere.
            cors: whether pages of other origins may read the API's answers.
            page: the page at `/`; None for none.
        """
        self._api = api
        self._counted = counted
        self._metrics_path = metrics_path
        self._cors = cors
        self._page = page

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
        bare_path = path.partition("?")[0]
        if method == "GET" and bare_path == self._metrics_path:
            return rest.Answer(200, self._counted.page().encode("utf-8"), "text/plain")
        if path[:4].lower() != "/v1/":
            found = self._page.get(bare_path) if self._page and method == "GET" else None
            if found:
                return rest.Answer(200, *found, headers=_PAGE_HEADERS)
            return rest.Answer(404, _NOT_FOUND_PAGE, "text/html")
        if method == "OPTIONS":
            allowed = re.search("https?://", headers.get("origin", ""))
            answer = rest.Answer(200 if allowed else 400, b"")
        else:
            answer = self._api.answer(method, path, body)
        return dataclasses.replace(answer, headers=_CORS) if self._cors else answer
