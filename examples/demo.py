"""The whole story in under a minute: two releases cross the gap, a forged disc does not, and the record proves it.

Everything is real: keys, signatures, weights (examples/stack), processes. Run it with `make demo`, or
`python examples/demo.py --keep FOLDER` to look at what it leaves behind.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
MANIFESTS = REPOSITORY / "manifests"


class Story:
    """Runs airlift commands in one folder and tells what came of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chapter = 0
        self.started = time.monotonic()

    def tell(self, title: str) -> None:
        """Open a chapter."""
        self.chapter += 1
        print(f"\n{self.chapter}. {title}", flush=True)

    def note(self, text: str) -> None:
        """Add a line to the chapter."""
        print(f"   {text}", flush=True)

    def run(self, *words: str | Path, expect: int = 0) -> dict[str, Any]:
        """Run one command, show it, and return its answer; it must end with the exit code ``expect``."""
        shown = " ".join(str(word).replace(f"{REPOSITORY}/", "") for word in words)
        print(f"   $ airlift {shown}", flush=True)
        command = [sys.executable, "-m", "airlift", *map(str, words), "--format", "json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != expect:
            sys.exit(f"expected exit {expect}, got {done.returncode}:\n{done.stdout}{done.stderr}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def size(count: int) -> str:
    """Return bytes for people."""
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def make_keys(story: Story) -> None:
    """Six people and machines get keys."""
    story.tell(
        "Keys: two root holders, two release holders, the build machine, the enclave's ledger (ML-DSA-87)"
    )
    for name in ("root-ada", "root-bo", "release-cy", "release-di", "build-machine", "ledger"):
        story.run("keys", "generate", name, "--out", "keys", "--no-passphrase")


def make_sides(story: Story) -> None:
    """A depot on the low side, an enclave on the high side, joined by a fingerprint read over the telephone."""
    story.tell("Low side: a depot. Two of two must sign a root, two of two a release")
    depot = story.run(
        *("low", "init", "--bundler-key", "keys/build-machine.key"),
        *("--root-key", "keys/root-ada.key", "--root-key", "keys/root-bo.key", "--root-threshold", "2"),
        *("--release-key", "keys/release-cy.key", "--release-key", "keys/release-di.pub"),
        *("--release-threshold", "2"),
    )["data"]
    story.note(f"root fingerprint {depot['fingerprint'][:32]}..., to be compared out of band")
    story.note("one release holder gave only a public key: the first targets wait for that signature")
    story.run("low", "sign", "--key", "keys/release-di.key")
    story.tell("High side: an enclave named alpha pins that root")
    story.run(
        *("high", "init", "--root", depot["root"], "--expect-fingerprint", depot["fingerprint"]),
        *("--name", "alpha", "--ledger-key", "keys/ledger.key"),
    )


def publish(story: Story, version: str) -> None:
    """One holder releases, the other one looks and signs."""
    release = f"assistant@{version}"
    manifest = MANIFESTS / f"assistant-{version}.yaml"
    for words in (
        ("release", manifest, "--key", "keys/release-cy.key"),
        ("sign", release, "--key", "keys/release-di.key"),
    ):
        done = story.run("low", *words)["data"]
        story.note(
            f"{release}: {done['signatures']} of {done['threshold']} signatures, published: {done['published']}"
        )


def bundle(story: Story, version: str, output: str, *options: str) -> list[Path]:
    """Pack a release; say how large it is beside what it rebuilds."""
    made = story.run(
        *("low", "bundle", f"assistant@{version}", "--for", "alpha", "--output", output),
        *("--bundler-key", "keys/build-machine.key", *options),
    )["data"]
    share = made["chunk_bytes"] / made["target_bytes"]
    story.note(
        f"bundle {made['bundle']}: {size(made['chunk_bytes'])} of chunks for {size(made['target_bytes'])} of files"
        f" ({share:.1%}), baseline {made['baseline'] or 'none'}, {len(made['volumes'])} volumes"
    )
    return [Path(volume["path"]) for volume in made["volumes"]]


def forge(story: Story, volumes: Sequence[Path]) -> list[Path]:
    """Copy the volumes and flip one bit in the middle of a chunk."""
    copies = []
    for volume in volumes:
        copies.append(story.folder / "forged" / volume.name)
        shutil.copytree(story.folder / volume, copies[-1])
    chunk = max((copies[0] / "chunks").iterdir(), key=lambda path: path.stat().st_size)
    chunk.chmod(0o644)
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    return copies


def first_release(story: Story) -> None:
    """Everything crosses, on several small discs, in the wrong order."""
    story.tell("The first release, complete, over several volumes of 2.5 MB")
    publish(story, "2026.11.0")
    volumes = bundle(story, "2026.11.0", "out", "--volume-size", "2.5MB")
    story.tell("Across the gap: one disc is missing at first, and they come in any order")
    missing = story.run("high", "import", *reversed(volumes[1:]), "--activate", expect=4)
    story.note(f"exit 4: {missing['error']['message']}; what was verified is kept")
    done = story.run("high", "import", volumes[0], "--activate")["data"]
    story.note(f"{done['target']} installed: {done['installed']}, activated: {done['activated']}")


def second_release(story: Story) -> None:
    """A delta crosses; a forged copy of it does not."""
    story.tell("A guard hot fix and a tiny-step update of the model, as a delta")
    publish(story, "2026.11.1")
    volumes = bundle(story, "2026.11.1", "out", "--from", "assistant@2026.11.0")
    story.tell("Somebody tampers with the disc: one bit of one chunk")
    refused = story.run("high", "import", *forge(story, volumes), "--activate", expect=3)["error"]
    story.note(f"exit {refused['exit']}, {refused['code']}: nothing was installed")
    story.note(f"active is still {story.run('high', 'status')['data']['active']}")
    story.tell("The genuine disc: model and guard move together, at once")
    done = story.run("high", "import", *volumes, "--activate")["data"]
    story.note(f"{done['target']} activated: {done['activated']}")
    base = REPOSITORY / "examples/stack/base-1.0.1/model.safetensors"
    same = base.read_bytes() == (story.folder / "enclave/active/base/model.safetensors").read_bytes()
    story.note(f"active/base/model.safetensors is byte-identical to what was trained: {same}")
    if not same:
        sys.exit("the rebuilt model differs")


def look_back(story: Story) -> None:
    """Roll back, then ask the record and prove its answer without airlift."""
    story.tell("The operators roll back, then forward again")
    story.note(f"active: {story.run('high', 'rollback', '--yes')['data']['active']}")
    story.note(f"active: {story.run('high', 'activate', 'assistant@2026.11.1')['data']['active']}")
    story.tell("The assessor asks: where does the running model come from, and was the record changed?")
    trace = story.run("provenance", "trace", "base@1.0.1")["data"]
    story.note("lineage: " + " <- ".join(_path(trace)))
    for entry in story.run("provenance", "history")["data"]["entries"]:
        story.note(f"{entry['index']:>3}  {entry['time']}  {entry['type']}")
    proof = story.run("provenance", "verify")["data"]
    story.note(f"{proof['size']} entries, newest checkpoint signed: ok {proof['ok']}")
    story.run("provenance", "export", "--as", "ledger", "--output", "ledger.jsonl")
    print("   $ airlift-verify ledger.jsonl --public-key keys/ledger.pub", flush=True)
    standalone = [sys.executable, "-m", "airlift.verify", "ledger.jsonl", "--public-key", "keys/ledger.pub"]
    done = subprocess.run(standalone, cwd=story.folder, capture_output=True, text=True, check=True)
    for line in done.stdout.strip().splitlines():
        story.note(line)
    prove(story)


def prove(story: Story) -> None:
    """One answer that checks alone, what the hot fix changed, and a page for people."""
    story.tell("One answer, to be checked by somebody who has nothing but the public key")
    answer = story.run("provenance", "during", "guard@2.0", "--prove")
    (story.folder / "answer.json").write_text(json.dumps(answer))
    for period in answer["data"]["periods"]:
        ran = ", ".join(f"{c['name']} {c['version']}" for c in period["components"])
        story.note(f"while guard 2.0 was active, {period['release']} ran: {ran}")
    print("   $ airlift-verify answer.json --public-key keys/ledger.pub", flush=True)
    words = [sys.executable, "-m", "airlift.verify", "answer.json", "--public-key", "keys/ledger.pub"]
    done = subprocess.run(words, cwd=story.folder, capture_output=True, text=True, check=True)
    story.note(done.stdout.splitlines()[-1])
    story.tell("What did the hot fix change?")
    changed = story.run("provenance", "changes", "assistant@2026.11.1", "--tensors")["data"]["tensors"]
    for name in sorted({item["component"] for item in changed}):
        own = [item for item in changed if item["component"] == name]
        count, total = sum(item["changed"] for item in own), sum(item["elements"] for item in own)
        story.note(
            f"{name}: {count:,} of {total:,} numbers, by {max(i['absolute'] for i in own):.2g} at most"
        )
    story.run("provenance", "report", "--output", "report.html")
    story.note("report.html says all this to people (keep it with `python examples/demo.py --keep FOLDER`)")


def _path(node: dict[str, Any]) -> list[str]:
    """Return one way through a lineage: from the subject to the release and the bundle that brought it."""
    names = []
    nodes = node.get("nodes", [node.get("node", node)])
    while nodes:
        chosen = next((n for n in nodes if n["kind"] in {"release", "bundle"}), nodes[0])
        names.append(
            f"{chosen['kind']} {chosen['name']}" + (f"@{chosen['version']}" if chosen["version"] else "")
        )
        nodes = [n for n in chosen["parents"] if n["kind"] in {"release", "bundle", "key"}]
    return names


def main() -> None:
    """Tell the story in a fresh folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="an empty folder to leave everything in")
    keep = parser.parse_args().keep
    with tempfile.TemporaryDirectory(prefix="airlift-demo-") as scratch:
        story = Story(Path(keep or scratch).resolve())
        story.folder.mkdir(parents=True, exist_ok=True)
        for chapter in (make_keys, make_sides, first_release, second_release, look_back):
            chapter(story)
        print(f"\nDone in {time.monotonic() - story.started:.0f} s.", flush=True)


if __name__ == "__main__":
    main()
