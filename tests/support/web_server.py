"""A web server on this machine that misbehaves as it is told, and the authority that signs its certificate."""

import base64
import http.server
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Fault:
    """What a server does once, in the place of a good answer."""

    cut: int | None = None
    """How many bytes of the body are sent before the connection is closed."""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent in the place of the file, without a word."""
    bare: bool = False
    """Neither a length nor chunks."""
    chunked: bool = False


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers HEAD, and GET of whole files and of ranges to their end."""

    server: "WebServer"
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.server.heads.append(self.path)
        if self.server.without_heads:
            self._send(self.server.without_heads, b"", {}, Fault())
        else:
            self.do_GET()

    def do_GET(self) -> None:
        server, path = self.server, self.path.partition("?")[0]
        server.asked.append((self.path, dict(self.headers)))
        queue = server.faults.get(path, [])
        fault = queue.pop(0) if queue else Fault()
        if server.login and self.headers.get("Authorization") != server.login:
            self._send(401, b"", {"WWW-Authenticate": 'Basic realm="x"'}, Fault())
        elif fault.status:
            self._send(fault.status, fault.body or b"", fault.headers, fault)
        elif path not in server.files:
            self._send(404, b"", {}, fault)
        else:
            self._file(path, fault)

    def _file(self, path: str, fault: Fault) -> None:
        data = self.server.files[path] if fault.body is None else fault.body
        tag = self.server.tags.get(path)
        headers = {**({"ETag": tag} if tag else {}), **fault.headers}
        if self.server.dated:
            headers["Last-Modified"] = "Mon, 30 Nov 2026 00:00:00 GMT"
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in {None, tag}
        if asked is None or not self.server.ranges or not same:
            self._send(200, data, headers, fault)
            return
        start = int(asked[1])
        if start >= len(data):
            self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"}, fault)
            return
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._send(206, data[start:], headers, fault)

    def _send(self, status: int, body: bytes, headers: dict[str, str], fault: Fault) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if fault.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = (
                b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:1000], body[1000:]) if p)
                + b"0\r\n\r\n"
            )
        elif not fault.bare and "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if fault.cut is None else body[: fault.cut])
        self.close_connection = True

    def log_message(self, *_arguments: Any) -> None:
        pass


class WebServer(http.server.ThreadingHTTPServer):
    """Files by path, faults that wait for a path, and what was asked: paths, and headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.heads: list[str] = []
        self.without_heads = 0
        """With which status HEAD is refused, if it is."""
        self.ranges = True
        self.login: str | None = None
        self.scheme = "http"
        self.dated = False
        """Whether the time of the last change is told."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_arguments: Any) -> None:
        pass  # clients go away in the middle: that is what is tested


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """Give a server that answers until the end; with a ``context``, over TLS."""
    server = WebServer()
    if context is not None:
        server.scheme = "https"
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def basic(user: str, password: str) -> str:
    """Return what a client sends for a user."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: an authority's certificate; the certificate and the key of a server on this machine."""

    authority: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return what a server needs for TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def certificates(folder: Path, address: str = "127.0.0.1") -> Certificates:
    """Make an authority, and a certificate by it for a server at ``address``."""
    now = datetime.now(UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])

    def certificate(
        name: x509.Name, public: ec.EllipticCurvePublicKey, *, authority: bool
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(root_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
            )
        )
        if not authority:
            names = x509.SubjectAlternativeName(
                [x509.IPAddress(ip_address(address)), x509.DNSName("localhost")]
            )
            builder = builder.add_extension(names, critical=False)
        return builder.sign(root_key, hashes.SHA256())

    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    made = Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    pem = serialization.Encoding.PEM
    made.authority.write_bytes(
        certificate(root_name, root_key.public_key(), authority=True).public_bytes(pem)
    )
    made.certificate.write_bytes(certificate(own, key.public_key(), authority=False).public_bytes(pem))
    made.key.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made
