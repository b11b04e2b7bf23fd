"""A mail server that keeps the Message-IDs of what it was given.

It may refuse its first mails for a while, and take no second one until it is told to go on.
"""

from __future__ import annotations

import socketserver
import threading
from collections import Counter


class SmtpSink:
    def __init__(self, refuse_first: int = 0, *, one_alone: bool = False) -> None:
        self.message_ids: Counter[str] = Counter()
        self.refusals_left = refuse_first
        self.go_on = threading.Event()
        if not one_alone:
            self.go_on.set()
        sink = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 sink\r\n")
                while line := self.rfile.readline():
                    if not self._answer(line.split()[0].upper()):
                        return

            def _answer(self, command: bytes) -> bool:
                if command == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    message = b""
                    while not message.endswith(b"\r\n.\r\n"):
                        message += self.rfile.readline()
                    sink.take(message)
                elif command == b"MAIL" and sink.refuses():
                    self.wfile.write(b"451 later\r\n")
                    return True
                self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")
                return command != b"QUIT"

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def refuses(self) -> bool:
        self.refusals_left -= 1
        return self.refusals_left >= 0

    def take(self, message: bytes) -> None:
        if self.message_ids:
            self.go_on.wait()
        for line in message.splitlines():
            if line.lower().startswith(b"message-id:"):
                self.message_ids[line.split(b":", 1)[1].strip().decode()] += 1

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
