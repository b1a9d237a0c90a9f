"""What kubectl asks of a cluster for one deployment, answered on loopback, and kept as roles name it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

RESOURCES = {
    "kind": "APIResourceList",
    "groupVersion": "apps/v1",
    "resources": [
        {
            "name": "deployments",
            "singularName": "",
            "namespaced": True,
            "kind": "Deployment",
            "verbs": ["get"],
        }
    ],
}
VERSION = {"groupVersion": "apps/v1", "version": "v1"}
DISCOVERED: dict[str, dict[str, Any]] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "apps", "versions": [VERSION], "preferredVersion": VERSION}],
    },
    "/apis/apps/v1": RESOURCES,
}
EXCEEDED = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


@dataclass
class Cluster:
    """One deployment; ``comes_up`` says whether a restart of it ends well, ``asked`` what was done to what."""

    deployment: dict[str, Any]
    comes_up: bool = True
    asked: set[tuple[str, str, str]] = field(default_factory=set)
    restarts: int = 0
    address: str = ""

    def restart(self, change: dict[str, Any]) -> None:
        """Take a change of the pods' annotations, as ``kubectl rollout restart`` makes one."""
        told = change["spec"]["template"]["metadata"]["annotations"]
        assert set(told) == {"kubectl.kubernetes.io/restartedAt"}
        self.restarts += 1

    def shown(self) -> dict[str, Any]:
        """Return the deployment as it is now."""
        generation, ready = self.restarts + 1, int(self.comes_up)
        counts = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": ready, "availableReplicas": ready}
        status = {"observedGeneration": generation, **counts}
        if not self.comes_up:
            status["conditions"] = [EXCEEDED]  # type: ignore[assignment]
        metadata = {
            **self.deployment["metadata"],
            "generation": generation,
            "resourceVersion": str(generation),
        }
        return {**self.deployment, "metadata": metadata, "status": status}


@contextmanager
def small_cluster(deployment: dict[str, Any], *, comes_up: bool = True) -> Iterator[Cluster]:
    """Answer for a deployment until the end of the body."""
    cluster = Cluster(deployment, comes_up)
    metadata = deployment["metadata"]
    place = f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments"

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = parse_qs(url.query)
            if url.path in DISCOVERED:
                self.answer(DISCOVERED[url.path])
            elif url.path == f"{place}/{metadata['name']}":
                cluster.asked.add(("get", "deployments", metadata["name"]))
                self.answer(cluster.shown())
            elif url.path == place:
                (named,) = asked["fieldSelector"]
                verb = "watch" if asked.get("watch") else "list"
                cluster.asked.add((verb, "deployments", named.removeprefix("metadata.name=")))
                event = {"type": "ADDED", "object": cluster.shown()}
                listed = {"kind": "DeploymentList", "apiVersion": "apps/v1", "items": [cluster.shown()]}
                self.answer(event if verb == "watch" else {**listed, "metadata": {"resourceVersion": "1"}})
            else:
                self.send_error(404)

        def do_PATCH(self) -> None:
            cluster.asked.add(("patch", "deployments", self.path.partition("?")[0].removeprefix(f"{place}/")))
            cluster.restart(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(cluster.shown())

        def answer(self, told: dict[str, Any]) -> None:
            body = json.dumps(told).encode() + b"\n"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    cluster.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
