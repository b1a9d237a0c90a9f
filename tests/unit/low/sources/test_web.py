"""Files of a web server that cuts, forgets, moves and lies, over real sockets (SPEC L2.19)."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import AirliftError, DigestError, ManifestError, NotHeldError, UncheckedError
from airlift.low.sources import land, web
from airlift.low.sources.fetch import Fetched, fetch
from tests.support.depots import Site
from tests.support.web_server import Fault, WebServer, basic, certificates, serving

DATA = bytes(range(256)) * 4096
"""1 MiB."""


def pin(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


@dataclass
class Desk:
    """Who fetches, and what happened meanwhile."""

    site: Site
    waited: list[float] = field(default_factory=list)
    seen: list[tuple[int, int]] = field(default_factory=list)

    def get(self, source: dict[str, Any], folder: Path = Path()) -> Fetched:
        return fetch(
            self.site.depot,
            source,
            folder,
            lambda _stage, done, total: self.seen.append((done, total)),
            sleep=self.waited.append,
        )

    @property
    def kept(self) -> list[str]:
        """The names of what was fetched, whole or in part."""
        return sorted(path.name for path in self.site.depot.fetched.glob("*") if path.name != "lock")


@pytest.fixture
def desk(site: Site) -> Desk:
    return Desk(site)


@pytest.fixture
def one(server: WebServer) -> dict[str, Any]:
    server.files["/m/base.bin"] = DATA
    return {"https": f"{server.url}/m/base.bin", "digest": pin(DATA)}


def starts(server: WebServer) -> list[str | None]:
    """The ranges that were asked for, in order."""
    return [headers.get("Range") for _, headers in server.asked]


def test_one_file(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    found = desk.get(one)
    assert {path: file.read_bytes() for path, file in found.paths.items()} == {"base.bin": DATA}
    assert found.stated == {"kind": "https", "url": one["https"]}
    assert found.digested["base.bin"].sha512 == hashlib.sha512(DATA).hexdigest()
    assert (found.bytes, desk.seen[-1]) == (len(DATA), (len(DATA), len(DATA)))
    assert found.paths["base.bin"].stat().st_mode & 0o777 == 0o444
    assert not desk.waited


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_was_fetched_is_not_asked_for_again(
    desk: Desk, server: WebServer, one: dict[str, Any], algorithm: str
) -> None:
    one["digest"] = pin(DATA, algorithm)
    desk.get(one)
    desk.get({**one, "https": f"{server.url}/elsewhere", "path": "moved.bin"})
    assert len(server.asked) == 1


def test_what_is_not_any_more_what_was_fetched_is_fetched_again(
    desk: Desk, server: WebServer, one: dict[str, Any]
) -> None:
    path = desk.get(one).paths["base.bin"]
    path.chmod(0o644)
    path.write_bytes(DATA[:-1] + b"!")
    assert desk.get(one).paths["base.bin"].read_bytes() == DATA
    assert len(server.asked) == 2


def test_a_list_of_files(desk: Desk, server: WebServer) -> None:
    contents = {"config.json": b"{}", "onnx/a model.onnx": b"onnx", "empty": b""}
    server.files = {f"/m/{path.replace(' ', '%20')}": data for path, data in contents.items()}
    listed = [{"path": path, "digest": pin(data), "bytes": len(data)} for path, data in contents.items()]
    found = desk.get({"https": f"{server.url}/m/", "files": listed, "exclude": ["empty"]})
    assert {path: file.read_bytes() for path, file in found.paths.items()} == {
        path: data for path, data in contents.items() if data
    }
    assert found.left_out == ("empty",)


def test_a_list_of_digests(desk: Desk, server: WebServer, tmp_path: Path) -> None:
    contents = {"config.json": b"{}", "weights/b.bin": DATA, "a.bin": b"a"}
    server.files = {f"/{path}": data for path, data in contents.items()}
    lines = [f"{hashlib.sha256(contents['config.json']).hexdigest()}  ./config.json",
             f"{hashlib.sha512(DATA).hexdigest()} *weights/b.bin",
             f"{hashlib.sha256(b'a').hexdigest()}  a.bin"]  # fmt: skip
    (tmp_path / "SUMS").write_text("\n".join(lines) + "\n")
    found = desk.get({"https": f"{server.url}/", "digests": "SUMS"}, tmp_path)
    assert {path: file.read_bytes() for path, file in found.paths.items()} == contents
    assert list(found.paths) == sorted(contents)


@pytest.mark.parametrize("tag", [None, '"one"', 'W/"weak"'])
def test_what_breaks_off_goes_on_from_there(
    desk: Desk, server: WebServer, one: dict[str, Any], tag: str | None
) -> None:
    server.faults["/m/base.bin"] = [Fault(cut=300_000), Fault(cut=0), Fault(cut=500_000)]
    if tag:
        server.tags["/m/base.bin"] = tag
    assert desk.get(one).paths["base.bin"].read_bytes() == DATA
    assert starts(server) == [None, "bytes=300000-", "bytes=300000-", "bytes=800000-"]
    marks = {headers.get("If-Range") for _, headers in server.asked[1:]}
    assert marks == {tag if tag == '"one"' else None}
    assert desk.waited == [1.0, 1.0, 1.0]
    assert desk.seen[-1] == (len(DATA), len(DATA))


def test_another_command_goes_on(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.faults["/m/base.bin"] = [Fault(cut=300_000), *[Fault(cut=0)] * 5]
    with pytest.raises(UncheckedError, match=r"broke off|cannot fetch") as caught:
        desk.get(one)
    assert (caught.value.exit_code, caught.value.code) == (7, "unreachable")
    assert desk.waited == [1.0, 1.0, 2.0, 4.0, 8.0]
    assert desk.kept[0].endswith(".part")
    desk.get(one)
    assert starts(server)[-1] == "bytes=300000-"
    assert len(desk.kept) == 1
    assert not desk.kept[0].endswith(".part")


@pytest.mark.parametrize(
    "fault",
    [Fault(status=404), Fault(status=403), Fault(bare=True), Fault(body=b""), Fault(cut=0)],
    ids=["not there", "denied", "no length", "empty", "broken off"],
)
def test_what_fails_before_its_first_byte_leaves_nothing(
    desk: Desk, server: WebServer, one: dict[str, Any], fault: Fault
) -> None:
    server.faults["/m/base.bin"] = [fault] * 6
    with pytest.raises(AirliftError):
        desk.get(one)
    assert desk.kept == []
    server.faults.clear()
    assert desk.get(one).paths["base.bin"].read_bytes() == DATA


def test_an_empty_file_is_kept_as_any_other(desk: Desk, server: WebServer) -> None:
    server.files["/m/empty"] = b""
    desk.get({"https": f"{server.url}/m/empty", "digest": pin(b"")})
    assert [name.endswith(".part") for name in desk.kept] == [False]


def test_a_whole_part_needs_no_more_bytes(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    whole = desk.get(one).paths["base.bin"]
    whole.rename(whole.with_name(f"{whole.name.partition('.')[0]}.part"))
    assert desk.get(one).paths["base.bin"].read_bytes() == DATA
    assert starts(server) == [None, f"bytes={len(DATA)}-"]


def test_a_server_without_ranges_is_heard_from_the_start(
    desk: Desk, server: WebServer, one: dict[str, Any]
) -> None:
    server.ranges = False
    server.faults["/m/base.bin"] = [Fault(cut=300_000)]
    assert desk.get(one).paths["base.bin"].read_bytes() == DATA


def test_a_server_that_never_gets_to_the_end_is_given_up(
    desk: Desk, server: WebServer, one: dict[str, Any]
) -> None:
    server.ranges = False
    server.faults["/m/base.bin"] = [Fault(cut=300_000)] * 100
    with pytest.raises(UncheckedError):
        desk.get(one)
    assert len(server.asked) == 6


def test_a_file_that_changes_while_it_comes(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    """The first bytes were another file's; the mark tells, or else the digest does."""
    other = b"x" * len(DATA)
    server.faults["/m/base.bin"] = [Fault(body=other, cut=300_000, headers={"ETag": '"old"'})]
    server.tags["/m/base.bin"] = '"new"'
    assert desk.get(one).paths["base.bin"].read_bytes() == DATA
    assert starts(server) == [None, "bytes=300000-"]


def test_a_file_that_changes_without_a_mark(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.faults["/m/base.bin"] = [Fault(body=b"x" * len(DATA), cut=300_000)]
    assert desk.get(one).paths["base.bin"].read_bytes() == DATA
    assert starts(server) == [None, "bytes=300000-", None]
    assert desk.seen[-1] == (len(DATA), len(DATA))


@pytest.mark.parametrize("size", [{}, {"bytes": len(DATA)}])
def test_wrong_bytes_do_not_stay(
    desk: Desk, server: WebServer, one: dict[str, Any], size: dict[str, int]
) -> None:
    server.files["/m/base.bin"] = DATA[:-1] + b"!"
    with pytest.raises(DigestError, match=r"base\.bin does not have the digest") as caught:
        desk.get(one | size)
    assert (caught.value.exit_code, caught.value.expected) == (3, pin(DATA))
    assert desk.kept == []
    assert len(server.asked) == 1


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"!"])
def test_a_length_that_is_stated(desk: Desk, server: WebServer, one: dict[str, Any], data: bytes) -> None:
    server.files["/m/base.bin"] = data
    with pytest.raises(DigestError, match="length"):
        desk.get(one | {"bytes": len(DATA)})
    assert desk.kept == []


def test_no_more_is_taken_than_is_stated(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.faults["/m/base.bin"] = [Fault(body=DATA * 2, chunked=True)]
    with pytest.raises(DigestError, match="longer"):
        desk.get(one | {"bytes": len(DATA)})
    assert desk.kept == []


def test_a_server_that_states_no_length(
    desk: Desk, server: WebServer, one: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults["/m/base.bin"] = [Fault(chunked=True)]
    assert desk.get(one).bytes == len(DATA)
    monkeypatch.setattr(land, "UNSTATED_BYTES", 1000)
    server.files["/m/other.bin"] = DATA + b"?"
    server.faults["/m/other.bin"] = [Fault(chunked=True)]
    with pytest.raises(UncheckedError, match="states no length") as caught:
        desk.get({"https": f"{server.url}/m/other.bin", "digest": pin(DATA + b"?")})
    assert "`bytes`" in caught.value.hint
    server.files["/m/third.bin"] = b"third"
    server.faults["/m/third.bin"] = [Fault(bare=True)]
    with pytest.raises(UncheckedError, match="without a length"):
        desk.get({"https": f"{server.url}/m/third.bin", "digest": pin(b"third")})


def test_no_room(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.faults["/m/base.bin"] = [Fault(headers={"Content-Length": str(1 << 60)})]
    with pytest.raises(AirliftError, match="no space left to fetch") as caught:
        desk.get(one)
    assert caught.value.exit_code == 8


def test_an_encoding_that_nobody_asked_for(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.faults["/m/base.bin"] = [Fault(headers={"Content-Encoding": "gzip"})]
    with pytest.raises(UncheckedError, match="encoding"):
        desk.get(one)
    assert server.asked[0][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_server_that_cannot_now(desk: Desk, server: WebServer, one: dict[str, Any], status: int) -> None:
    server.faults["/m/base.bin"] = [
        Fault(status=status, headers={"Retry-After": "7"}),
        Fault(status=status, headers={"Retry-After": "100000"}),
        Fault(status=status),
    ]
    assert desk.get(one).bytes == len(DATA)
    assert desk.waited == [7.0, 60.0, 4.0]


@pytest.mark.parametrize(
    ("status", "code"), [(404, 5), (410, 5), (401, 7), (403, 7), (400, 7), (418, 7), (300, 7)]
)
def test_a_server_that_will_not(
    desk: Desk, server: WebServer, one: dict[str, Any], status: int, code: int
) -> None:
    server.faults["/m/base.bin"] = [Fault(status=status)] * 9
    with pytest.raises(AirliftError) as caught:
        desk.get(one)
    assert caught.value.exit_code == code
    assert len(server.asked) == 1
    assert str(status) in (caught.value.found or "")


def test_nobody_is_there(desk: Desk) -> None:
    with pytest.raises(UncheckedError, match=r"cannot fetch from http://127\.0\.0\.1:9") as caught:
        desk.get({"https": "http://127.0.0.1:9/x", "digest": pin(b"")})
    assert "refused" in (caught.value.found or "")
    assert desk.waited == [1.0, 2.0, 4.0, 8.0]


# -- where a server leads to ---------------------------------------------------------------------------------------


def led(target: str, status: int = 302) -> Fault:
    return Fault(status=status, headers={"Location": target})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(desk: Desk, server: WebServer, one: dict[str, Any], status: int) -> None:
    server.faults["/m/base.bin"] = [led("../n/next?sig=secret", status)]
    server.files["/n/next"] = DATA
    found = desk.get(one)
    assert found.bytes == len(DATA)
    assert found.stated["url"] == one["https"]


def test_a_range_is_asked_for_where_it_leads(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.faults["/m/base.bin"] = [led("/n"), led("/n")]
    server.files["/n"] = DATA
    server.faults["/n"] = [Fault(cut=1000)]
    assert desk.get(one).bytes == len(DATA)
    assert starts(server) == [None, None, "bytes=1000-", "bytes=1000-"]


def test_a_circle(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.faults["/m/base.bin"] = [led("/m/base.bin")] * 50
    with pytest.raises(UncheckedError, match="leads on and on"):
        desk.get(one)
    assert len(server.asked) == 11


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://[", "http://:80/"])
def test_what_is_no_web_server(desk: Desk, server: WebServer, one: dict[str, Any], target: str) -> None:
    server.faults["/m/base.bin"] = [led(target)]
    with pytest.raises(AirliftError) as caught:
        desk.get(one)
    assert caught.value.exit_code == 7


def test_secrets_go_to_their_host_only_and_are_not_told(
    desk: Desk, server: WebServer, one: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = Path(str(desk.site.folder.parent)) / "netrc"
    netrc.write_text("machine localhost login anna password s3cret\ndefault login all password al1\n")
    monkeypatch.setenv("NETRC", str(netrc))
    url = one["https"].replace("127.0.0.1", "localhost")
    server.faults["/m/base.bin"] = [led(f"{server.url}/cdn?X-Amz-Signature=s1gned")]
    server.faults["/cdn"] = [Fault(status=403)]
    with pytest.raises(AirliftError) as caught:
        desk.get(one | {"https": url})
    sent = [headers.get("Authorization") for _, headers in server.asked]
    assert sent == [basic("anna", "s3cret"), None]
    told = repr((str(caught.value), caught.value.found, caught.value.hint, repr(caught.value.__cause__)))
    assert "s1gned" not in told
    assert "s3cret" not in told


def test_a_login(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.login = basic("anna", "s3cret")
    with pytest.raises(UncheckedError, match="does not let") as caught:
        desk.get(one)
    assert (caught.value.code, len(server.asked)) == ("access-denied", 1)
    assert "docs/sources.md" in caught.value.hint
    (Path.home() / ".netrc").write_text("machine 127.0.0.1 login anna password s3cret\n")
    assert desk.get(one).bytes == len(DATA)


# -- without TLS, and with it --------------------------------------------------------------------------------------


def test_only_this_machine_is_asked_without_tls(desk: Desk) -> None:
    source = {"https": "http://models.invalid/x", "digest": pin(b"")}
    with pytest.raises(UncheckedError, match="not protected by TLS") as caught:
        desk.get(source)
    assert "plain_http: true" in caught.value.hint
    with pytest.raises(UncheckedError, match="cannot fetch"):
        desk.get(source | {"plain_http": True})


def test_a_private_authority(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = certificates(tmp_path)
    with serving(made.context()) as server:
        server.files["/base.bin"] = DATA
        source = {"https": f"{server.url}/base.bin", "digest": pin(DATA)}
        with pytest.raises(UncheckedError, match=r"certificate of .* is not valid here") as caught:
            desk.get(source)
        assert "SSL_CERT_FILE" in caught.value.hint
        assert not desk.waited
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
        assert desk.get(source).bytes == len(DATA)


def test_a_certificate_for_another_name(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = certificates(tmp_path, "127.0.0.2")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    with serving(made.context()) as server:
        with pytest.raises(UncheckedError, match=r"certificate of .* is not valid here"):
            desk.get({"https": f"{server.url}/base.bin", "digest": pin(DATA)})
        assert server.asked == []


def test_tls_is_never_left(
    desk: Desk, server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    server.files["/base.bin"] = DATA
    with serving(made.context()) as protected:
        protected.faults["/base.bin"] = [led(f"{server.url}/base.bin")]
        source = {"https": f"{protected.url}/base.bin", "digest": pin(DATA), "plain_http": True}
        with pytest.raises(UncheckedError, match="leads to a server without TLS"):
            desk.get(source)
    assert server.asked == []


# -- what cannot be a source ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        {"https": "https://anna:hunter2@host/x", "digest": pin(b"")},
        {"https": "https://host/x?token=hunter2", "digest": pin(b"")},
        {"https": "https://host/x#hunter2", "digest": pin(b"")},
        {"https": "https://host/a b", "digest": pin(b"")},
        {"https": "ftp://host/x", "digest": pin(b"")},
        {"https": "https://host/x"},
        {"https": "https://host/x", "digest": "md5:0"},
        {"https": "https://host/x", "digest": pin(b"").upper()},
        {"https": "https://host/x/", "digest": pin(b"")},
        {"https": "https://host/x", "files": [{"path": "a", "digest": pin(b"")}]},
        {"https": "https://host/", "files": [{"path": "a", "digest": pin(b"")}] * 2},
        {"https": "https://host/", "files": [{"path": "../a", "digest": pin(b"")}]},
        {"https": "https://host/", "files": [{"path": "a"}]},
        {"https": "https://host/", "files": [{"path": "a", "digest": pin(b"")}], "digests": "S"},
        {"https": "https://host/%2e%2e", "digest": pin(b"")},
    ],
)
def test_what_cannot_be_fetched_as_it_is_written(desk: Desk, source: dict[str, Any]) -> None:
    with pytest.raises(ManifestError) as caught:
        desk.get(source)
    assert "hunter2" not in repr((str(caught.value), caught.value.found, caught.value.hint))
    assert desk.kept == []


@pytest.mark.parametrize(
    "line", ["x", "0" * 64, f"{'0' * 64} x", f"\\{'0' * 64}  a\\nb", f"{'0' * 64}  /etc/passwd"]
)
def test_lists_that_are_none(desk: Desk, tmp_path: Path, line: str) -> None:
    (tmp_path / "SUMS").write_text(f"{line}\n")
    with pytest.raises(ManifestError):
        desk.get({"https": "https://host/", "digests": "SUMS"}, tmp_path)


def test_nothing_is_left(desk: Desk, server: WebServer) -> None:
    listed = [{"path": "a", "digest": pin(b"")}]
    with pytest.raises(NotHeldError, match="no such files"):
        desk.get({"https": f"{server.url}/", "files": listed, "include": ["b"]})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("", None), ("-1", None), ("soon", None), ("Mon, 01 Jan 2001 00:00:00 GMT", None)],
)
def test_how_long_a_server_wants_to_be_left(text: str, seconds: float | None) -> None:
    assert web._seconds(text) == seconds


def test_when_a_server_wants_to_be_asked() -> None:
    assert (web._seconds("Fri, 01 Jan 2999 00:00:00 GMT") or 0) > 1e9
