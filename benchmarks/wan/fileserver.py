"""Serve a folder over HTTP/1.1 on connections that stay open: ``fileserver ADDRESS PORT FOLDER``.

For the peer that pulls all data to the client Region; beside the data.
"""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["main"]


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Or the end of each file would wait a round trip for the acknowledgement of what went before.
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main(address: str, port: str, folder: str) -> None:
    """Serve until terminated."""
    with ThreadingHTTPServer((address, int(port)), partial(_Handler, directory=folder)) as server:
        server.daemon_threads = True
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
