"""How the loopback Hub speaks HTTP: one request in, one answer out, everything on record."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hub_repositories import HubError


@dataclass(frozen=True)
class Request:
    """One request as it was answered; `authorized` tells whether it carried a token."""

    port: str
    method: str
    path: str
    status: int
    received_bytes: int
    authorized: bool


@dataclass(frozen=True)
class User:
    """Whose token it is, and whether that token may write."""

    name: str
    can_write: bool = True
    orgs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A request under way: `path` is still quoted, because revisions hold quoted slashes."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Any
    body: bytes
    user: User | None

    def json(self) -> Any:
        return json.loads(self.body)

    def flag(self, name: str) -> bool:
        return self.query.get(name, ["0"])[0].lower() in ("1", "true")


def answer_json(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


class Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self,
        name: str,
        users: dict[str, User],
        requests: list[Request],
        lock: threading.Lock,
        answer: Callable[[Call], Answer],
    ) -> None:
        self.name, self.users, self.requests, self.lock, self.answer = name, users, requests, lock, answer
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet
    server: Listener

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keeps stderr quiet: `HubServer.requests` has it all."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _serve(self) -> None:
        server, parts, body = self.server, urlsplit(self.path), self._body()
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        try:
            if token and token not in server.users:
                raise HubError(401, "Invalid credentials in Authorization header")
            call = Call(
                self.command,
                parts.path,
                parse_qs(parts.query),
                self.headers,
                body,
                server.users.get(token) if token else None,
            )
            with server.lock:
                answer = server.answer(call)
        except HubError as error:
            extra = {"X-Error-Message": error.message.replace("\n", " ")}
            extra |= {"X-Error-Code": error.code} if error.code else {}
            extra |= {"X-Repo-Commit": error.commit} if error.commit else {}
            answer = answer_json({"error": error.message}, error.status, **extra)
        except Exception as error:  # 501, not 500: the client repeats a 500 for half a minute
            answer = answer_json({"error": f"the loopback Hub failed: {error!r}"}, 501)
        server.requests.append(
            Request(server.name, self.command, self.path, answer.status, len(body), bool(token))
        )
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815


def ranged(call: Call, content: bytes, headers: dict[str, str]) -> Answer:
    """Answers with the content, or with the part that a Range header asks for."""
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("Range", ""))
    if asked is None or not (asked[1] or asked[2]):
        return Answer(200, content, headers)
    first = int(asked[1]) if asked[1] else max(0, len(content) - int(asked[2]))
    last = min(int(asked[2]), len(content) - 1) if asked[1] and asked[2] else len(content) - 1
    if first > last:
        return Answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
    return Answer(
        206, content[first : last + 1], {**headers, "Content-Range": f"bytes {first}-{last}/{len(content)}"}
    )
