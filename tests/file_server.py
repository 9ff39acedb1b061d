"""A server of files on loopback that misbehaves on demand: real sockets, real HTTP, a script of answers."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Answer:
    """How one request for a file is answered; the plain one is honest.

    Attributes:
        cut: Bytes of the body after which the connection breaks, or None.
        status: Another status than 200 or 206: no body.
        ranges: Whether `Range` is heeded.
        announced: What Content-Length says instead of the truth: added to it; None leaves it out.
        headers: Further headers.
        hold: Waits for this, once the cut is reached, before it breaks the connection.
    """

    cut: int | None = None
    status: int = 0
    ranges: bool = True
    announced: int | None = 0
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None


@dataclass(frozen=True)
class Request:
    path: str
    range: str | None
    if_range: str | None
    status: int


class FileServer(ThreadingHTTPServer):
    """Serves `files` (by name) below `/records/1/files/`, and the record's metadata where zenodo has them.

    Attributes:
        script: Answers to the next requests for files; when it is empty, the honest one.
        requests: Requests for files so far.
        metadata: Whether the metadata can be had.
        tag: Whether files have an ETag.
        reached: Set when an answer that holds has sent its bytes.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.script: list[Answer] = []
        self.requests: list[Request] = []
        self.metadata = self.tag = True
        self.reached = threading.Event()

    @property
    def record(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/records/1"

    def __enter__(self) -> FileServer:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self.server_close()

    def described(self) -> dict[str, Any]:
        return {
            "files": [
                {"key": name, "size": len(data), "checksum": f"md5:{hashlib.md5(data).hexdigest()}"}
                for name, data in self.files.items()
            ]
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keeps stderr quiet."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/api/records/1":
            body = json.dumps(self.server.described()).encode() if self.server.metadata else b"no"
            self._send(200 if self.server.metadata else 404, {}, body, len(body))
            return
        data = self.server.files.get(path.removeprefix("/records/1/files/"))
        answer = self.server.script.pop(0) if self.server.script else Answer()
        if data is None or answer.status:
            self._log(answer.status or 404)
            self._send(answer.status or 404, answer.headers, b"", 0)
            return
        self._file(data, answer)

    def _file(self, data: bytes, answer: Answer) -> None:
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        headers = ({"ETag": tag} if self.server.tag else {}) | answer.headers
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, headers.get("ETag"))
        status, body = 200, data
        if asked and answer.ranges and same:
            first = int(asked[1])
            status, body = (206, data[first:]) if first < len(data) else (416, b"")
            span = f"{first}-{len(data) - 1}" if body else "*"
            headers |= {"Content-Range": f"bytes {span}/{len(data)}"}
        self._log(status)
        length = None if answer.announced is None else len(body) + answer.announced
        self._send(status, headers, body if answer.cut is None else body[: answer.cut], length)
        if answer.hold:
            self.server.reached.set()
            answer.hold.wait(60)

    def _log(self, status: int) -> None:
        get = self.headers.get
        self.server.requests.append(Request(self.path, get("Range"), get("If-Range"), status))

    def _send(self, status: int, headers: dict[str, str], body: bytes, length: int | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = True
