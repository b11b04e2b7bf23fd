"""The HTTP side of a service that has no API: /health, /metrics, and whatever pages the service adds.

Served from a thread of its own. /health answers 200 while the loop is alive and assigned or waiting for partitions,
503 when it has not come round for a while.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Page: TypeAlias = Callable[[], Any]  # something for JSON


class HealthServer:
    """Listens from its creation on."""

    def __init__(
        self, host: str, port: int, health: Callable[[], tuple[bool, Any]], pages: Mapping[str, Page]
    ) -> None:
        """`health` answers whether all is well, and details."""
        self._server = ThreadingHTTPServer((host, port), _handler_class(health, pages))
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler_class(
    health: Callable[[], tuple[bool, Any]], pages: Mapping[str, Page]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/health":
                well, details = health()
                self._answer(200 if well else 503, json.dumps(details).encode())
            elif path == "/metrics":
                self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif path in pages:
                self._answer(200, json.dumps(pages[path](), default=str).encode())
            else:
                known = ["/health", "/metrics", *pages]
                self._answer(404, json.dumps({"pages": known}).encode())

        def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
