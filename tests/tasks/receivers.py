"""Loopback servers that really receive: JSON over HTTP, and letters over SMTP."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def web_receiver(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give the address, and the list that grows with what is posted to it."""
    got: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with _served(ThreadingHTTPServer(("127.0.0.1", 0), Receiver)) as port:
        yield f"http://127.0.0.1:{port}/hook", got


@contextmanager
def post_office() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Give the port, and the list that grows with the letters: to, subject, body."""
    got: list[dict[str, Any]] = []

    class Clerk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            receivers: list[str] = []
            self._say("220 here")
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                if verb == "MAIL":
                    receivers = []
                if verb == "RCPT":
                    receivers.append(line.partition("<")[2].partition(">")[0])
                if verb == "DATA":
                    self._say("354 go on")
                    got.append(self._letter(receivers))
                self._say("221 bye" if verb == "QUIT" else "250 well")
                if verb == "QUIT":
                    return

        def _letter(self, receivers: list[str]) -> dict[str, Any]:
            lines = iter(self.rfile.readline, b".\r\n")
            letter = message_from_bytes(b"".join(lines), policy=default)
            subject = str(make_header(decode_header(str(letter["Subject"]))))
            body = letter.get_body(("plain", "html"))
            assert body is not None
            return {"to": receivers, "subject": subject, "body": body.get_content()}

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with _served(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Clerk)) as port:
        yield port, got


@contextmanager
def _served(server: Any) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
