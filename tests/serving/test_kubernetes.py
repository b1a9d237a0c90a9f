"""examples/kubernetes: real schemas, and what its containers and probes do on real mounts when a release switches."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from airlift.commands.run import Outcome, run_plainly
from airlift.policy.document import Command
from tests.arch.tree import ROOT
from tests.cli.conftest import World
from tests.conftest import find_file, find_tool
from tests.support.machine import machine
from tests.support.serving_group import AIRLIFT, BETTER, EXPORT, GOOD, Served, pack_all, set_up
from tests.support.small_cluster import Cluster, small_cluster

EXAMPLES = ROOT / "examples" / "kubernetes"
MANIFEST = EXAMPLES / "serving.yaml"
VERSIONS = ("1.29.0", "1.37.0")
PATIENCE = 60.0


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(MANIFEST.read_text()))


def pod() -> dict[str, Any]:
    (deployment,) = [item for item in documents() if item["kind"] == "Deployment"]
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    (found,) = [item for item in pod()["containers"] if item["name"] == name]
    return dict(found)


def validated(path: Path, version: str) -> "subprocess.CompletedProcess[str]":
    validate = find_file("AIRLIFT_KUBERNETES_VALIDATE", "the command kubernetes-validate")
    return subprocess.run(
        [validate, "--strict", "--quiet", "--kubernetes-version", version, path],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifest_is_what_kubernetes_reads(version: str) -> None:
    said = validated(MANIFEST, version)
    assert (said.returncode, said.stdout) == (0, "")


def test_the_validator_refuses_what_kubernetes_does_not_know(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(MANIFEST.read_text().replace("failureThreshold: 2", "failuresThreshold: 2"))
    said = validated(bad, VERSIONS[-1])
    assert said.returncode != 0
    assert "failuresThreshold" in said.stdout + said.stderr


def test_every_container_mounts_the_folder_above_the_link_and_writes_nowhere_but_to_scratch() -> None:
    (local,) = [item["spec"]["local"]["path"] for item in documents() if item["kind"] == "PersistentVolume"]
    (output,) = [word for word in EXPORT.split() if word.startswith("/")]
    assert local == str(Path(output).parent)
    for item in pod()["containers"]:
        mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in item["volumeMounts"]}
        assert mounts == {local: True, "/tmp": False}  # noqa: S108
        security = item["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert output in item["args"][0]
        assert output in item["livenessProbe"]["exec"]["command"][-1]


# -- the policy's commands ------------------------------------------------------------------------------------------


def run_policy(cluster: Cluster, folder: Path) -> list[Outcome]:
    """Run the commands of the policy as a switch does, up to the first that fails, with the real kubectl."""
    find_tool("kubectl")
    kubeconfig = folder / "kubeconfig"
    entry = {"clusters": [{"name": "a", "cluster": {"server": cluster.address}}]}
    context = {"contexts": [{"name": "a", "context": {"cluster": "a"}}], "current-context": "a"}
    kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **entry, **context}))
    text = (EXAMPLES / "policy.yaml").read_text()
    assert text.count("/etc/airlift/kubeconfig") == 2
    rules = yaml.safe_load(text.replace("/etc/airlift/kubeconfig", str(kubeconfig)))
    outcomes = list[Outcome]()
    for item in rules["activation"]["after"]:
        command = Command(item["name"], tuple(item["command"]), timeout=item["timeout"])
        outcomes.append(run_plainly(command, folder, {}))
        if not outcomes[-1].passes:
            break
    return outcomes


def deployment() -> dict[str, Any]:
    (found,) = [item for item in documents() if item["kind"] == "Deployment"]
    return found


def test_the_policy_restarts_the_deployment_by_the_rights_of_its_role(tmp_path: Path) -> None:
    with small_cluster(deployment()) as cluster:
        said = run_policy(cluster, tmp_path)
        assert [(one.name, one.exit) for one in said] == [("restart", 0), ("ready", 0)], said
        assert cluster.restarts == 1
    (role,) = [item["rules"] for item in documents() if item["kind"] == "Role"]
    (rule,) = role
    (name,) = rule["resourceNames"]
    assert rule["apiGroups"] == ["apps"]
    assert rule["resources"] == ["deployments"]
    assert cluster.asked == {(verb, "deployments", name) for verb in rule["verbs"]}


def test_a_deployment_that_does_not_come_up_fails_the_switch(tmp_path: Path) -> None:
    with small_cluster(deployment(), comes_up=False) as cluster:
        said = run_policy(cluster, tmp_path)
        assert [one.name for one in said] == ["restart", "ready"]
        assert said[-1].exit == 1
        assert "exceeded its progress deadline" in said[-1].said


# -- on real mounts ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> World:
    return pack_all(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def served(packed: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node with an enclave, and the tree that follows what is active."""
    with machine(tmp_path_factory.mktemp("machine")) as there:
        served = set_up(there, packed)
        there.do("install", "-d", "-o", AIRLIFT, "-g", AIRLIFT, "/srv/serving")
        there.do("runuser", "-u", AIRLIFT, "--", "sh", "-euc", EXPORT)
        yield served


def descendant(process: int, generations: int) -> int:
    """Return the process that was started by the one that was started by ... ``process``, as seen from here."""
    for _ in range(generations):
        process = int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])
    return process


class Pod:
    """A process in mounts and processes of its own, as a container of the manifest is."""

    def __init__(self, served: Served, name: str, mount: str = "/srv/serving") -> None:
        self.served, self.name = served, name
        spec = container(name)
        begin = (
            f"mount --bind {mount} /mnt && mount -o remount,bind,ro /mnt && mount --move /mnt /srv/serving"
        )
        words = [*spec["command"], *spec["args"]]
        self.process = subprocess.Popen(
            served.there.words(
                *("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"),
                *(
                    "sh",
                    "-euc",
                    f'{begin}; exec setpriv --reuid=65532 --regid=65532 --clear-groups "$@"',
                    "sh",
                ),
                *words,
            )
        )

    def first(self) -> int:
        """Return the container's first process: the last of those that started each other."""
        return descendant(self.process.pid, 2)

    def probe(self) -> int:
        """Run the liveness probe in it; return its exit code."""
        command = container(self.name)["livenessProbe"]["exec"]["command"]
        enter = ["nsenter", "--target", str(self.first()), "--mount", "--pid", "--"]
        drop = ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--"]
        return subprocess.run([*enter, *drop, *command], check=False, timeout=PATIENCE).returncode

    def end(self) -> None:
        """End it, as a kubelet does when a probe fails."""
        os.kill(self.first(), signal.SIGKILL)
        self.process.wait(PATIENCE)


@contextmanager
def pods(served: Served) -> Iterator[tuple[Pod, Pod]]:
    """Run both containers until the end of the body, which begins when they answer."""
    running = Pod(served, "model"), Pod(served, "guard")
    try:
        end = time.monotonic() + PATIENCE
        while None in served.serving():
            assert time.monotonic() < end
            time.sleep(0.2)
        yield running
    finally:
        for one in running:
            one.end()


def tree_of(served: Served) -> str:
    """Return the name of the tree that is served: what a server that was started there tells."""
    return Path(served.there.do("readlink", "-f", "/srv/serving/models").strip()).name


def test_a_switch_is_seen_by_the_probe_and_served_after_a_restart(served: Served) -> None:
    before = tree_of(served)
    with pods(served) as running:
        assert served.serving() == (before, before)
        assert [one.probe() for one in running] == [0, 0]
        served.activate(BETTER)
        assert served.serving() == (before, before)
        assert [one.probe() for one in running] == [1, 1]
    after = tree_of(served)
    assert after != before
    with pods(served) as running:
        assert served.serving() == (after, after)
        assert [one.probe() for one in running] == [0, 0]
        served.activate(GOOD)
        assert [one.probe() for one in running] == [1, 1]
    assert tree_of(served) == before


def test_the_folder_that_is_mounted_holds_nothing_of_the_enclave(served: Served) -> None:
    assert set(served.there.do("ls", "-A", "/srv/serving").split()) == {"models", ".models.airlift"}


def test_a_link_that_is_mounted_itself_does_not_follow(served: Served) -> None:
    """Why the folder above is mounted."""
    there = served.there
    before = there.do("cat", "/srv/serving/models/base/config.json")
    held = subprocess.Popen(
        there.words(
            *("unshare", "--mount", "sh", "-euc"),
            "mount --bind /srv/serving/models /mnt; echo; exec sleep 600",
        ),
        stdout=subprocess.PIPE,
    )
    try:
        assert held.stdout is not None
        held.stdout.readline()
        served.activate(BETTER)
        enter = ["nsenter", "--target", str(descendant(held.pid, 1)), "--mount", "--"]
        read = ["cat", "/mnt/base/config.json"]
        seen = subprocess.run([*enter, *read], capture_output=True, text=True, check=True).stdout
        assert seen == before
        assert there.do("cat", "/srv/serving/models/base/config.json") != before
    finally:
        os.kill(descendant(held.pid, 1), signal.SIGKILL)
        held.communicate(timeout=PATIENCE)
        served.activate(GOOD)
