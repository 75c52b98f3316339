"""The least that a receiver of webhooks does: it verifies the signature, and answers.

It records nothing, looks at nothing and bounds nothing: what a person writes in an afternoon.

``python -m tests.benchmarks.bare_receiver PORT SECRET`` serves until it is ended.
"""

import hashlib
import hmac
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = sys.argv[2].encode() if len(sys.argv) > 2 else b""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        tag = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        genuine = hmac.compare_digest(tag, self.headers.get("x-forgejo-signature", ""))
        self.send_response(202 if genuine else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
