"""The whole story in about a minute: two releases cross the gap, a forged disc does not, and the record proves it.

At its end a hole is found in the guard, and one command a side closes it on three enclaves.

Everything is real: keys, signatures, weights (examples/stack), processes. Run it with `make demo`, or
`python examples/demo.py --keep FOLDER` to look at what it leaves behind.
"""

import argparse
import hashlib
import json
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
MANIFESTS = REPOSITORY / "manifests"
STACK = REPOSITORY / "examples/stack"
FOLDERS = {"alpha": "enclave", "bravo": "bravo", "charlie": "charlie"}
"""The enclaves, and where each is installed."""
SIGNERS = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")


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
        self._show(words)
        return self._answer(words, expect)

    def run_all(self, *commands: Sequence[str | Path], expect: int = 0) -> list[dict[str, Any]]:
        """Run commands that have nothing to do with each other at the same time, as on machines of their own."""
        for words in commands:
            self._show(words)
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda words: self._answer(words, expect), commands))

    def check_alone(self, file: str, key: str) -> list[str]:
        """Check a file with the standalone verifier and return what it says."""
        print(f"   $ airlift-verify {file} --public-key {key}", flush=True)
        words = [sys.executable, "-m", "airlift.verify", file, "--public-key", key]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip().splitlines()

    @staticmethod
    def _show(words: Sequence[str | Path]) -> None:
        shown = shlex.join(str(word).replace(f"{REPOSITORY}/", "") for word in words)
        print(f"   $ airlift {shown}", flush=True)

    def _answer(self, words: Sequence[str | Path], expect: int) -> dict[str, Any]:
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
    """People and machines get keys."""
    story.tell(
        "Keys: two root holders, two release holders, the build machine, ledgers of three enclaves (ML-DSA-87)"
    )
    names = ("root-ada", "root-bo", "release-cy", "release-di", "build-machine", "ledger", "bravo", "charlie")
    story.run_all(*(("keys", "generate", name, "--out", "keys", "--no-passphrase") for name in names))


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
    base = STACK / "base-1.0.1/model.safetensors"
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
    trace, history = story.run_all(("provenance", "trace", "base@1.0.1"), ("provenance", "history"))
    story.note("lineage: " + " <- ".join(_path(trace["data"])))
    for entry in history["data"]["entries"]:
        story.note(f"{entry['index']:>3}  {entry['time']}  {entry['type']}")
    export = ("provenance", "export", "--as", "ledger", "--output", "ledger.jsonl")
    proof = story.run_all(("provenance", "verify"), export)[0]["data"]
    story.note(f"{proof['size']} entries, newest checkpoint signed: ok {proof['ok']}")
    for line in story.check_alone("ledger.jsonl", "keys/ledger.pub"):
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
    story.note(story.check_alone("answer.json", "keys/ledger.pub")[-1])
    story.tell("What did the hot fix change?")
    changed = story.run_all(
        ("provenance", "changes", "assistant@2026.11.1", "--tensors"),
        ("provenance", "report", "--output", "report.html"),
    )[0]["data"]["tensors"]
    for name in sorted({item["component"] for item in changed}):
        own = [item for item in changed if item["component"] == name]
        count, total = sum(item["changed"] for item in own), sum(item["elements"] for item in own)
        story.note(
            f"{name}: {count:,} of {total:,} numbers, by {max(i['absolute'] for i in own):.2g} at most"
        )
    story.note("report.html says all this to people (keep it with `python examples/demo.py --keep FOLDER`)")


# -- the emergency ---------------------------------------------------------------------------------------------------


def more_enclaves(story: Story) -> None:
    """Bravo and charlie join: other releases are held there, and the depot knows which by their receipts."""
    story.tell("Two more enclaves, bravo and charlie, which hold other releases than alpha")
    others, newest = ("bravo", "charlie"), "assistant@2026.11.1"
    init = ("--root", "depot/root.json", "--yes", "--name")
    out = ("--bundler-key", "keys/build-machine.key", "--output")
    story.run_all(
        *(("high", "init", *_at(name), *init, name, "--ledger-key", f"keys/{name}.key") for name in others),
        ("low", "bundle", newest, *out, "complete"),
    )
    own = _manifest(story, "2026.11.1.post1", ("prompt", "2", str(STACK / "prompt-1"), "1"))
    story.run_all(
        *(("high", "import", "complete", *_at(name), "--activate") for name in others),
        ("low", "release", own.name, *SIGNERS),
    )
    story.run("low", "bundle", f"{newest}.post1", "--for", "charlie", "--from", newest, *out, "charlies")
    story.run_all(
        ("high", "import", "charlies", *_at("charlie"), "--activate"),
        ("low", "enrol", "alpha", "--ledger-key", "keys/ledger.pub"),
    )
    for name, enrolled in (("alpha", "bravo"), ("bravo", "charlie")):
        story.run_all(
            ("high", "receipt", *_at(name), "--output", f"{name}.json"),
            ("low", "enrol", enrolled, "--ledger-key", f"keys/{enrolled}.pub"),
        )
    _, first = story.run_all(
        ("high", "receipt", *_at("charlie"), "--output", "charlie.json"),
        ("low", "returns", "import", "alpha.json"),
    )
    taken = [first, *(story.run("low", "returns", "import", f"{name}.json") for name in others)]
    for name, answer in zip(FOLDERS, taken, strict=True):
        story.note(f"{name} holds {', '.join(answer['data']['holds'])}")


def emergency(story: Story) -> None:
    """A hole in the guard is closed on three enclaves by one command a side."""
    story.tell("A hole is found in guard 2.1: one command on the low side, and one on each enclave")
    models = {name: _model(story, name) for name in FOLDERS}
    started = time.monotonic()
    mend(story)
    manifest = _manifest(story, "2026.11.4", ("guard", "2.1", "guard-2.2", "2.2"))
    made = story.run(
        *("low", "emergency", manifest.name, "--revoke", "guard@2.1", "--reason", "passes prompts in base64"),
        *(word for name in FOLDERS for word in ("--for", name)),
        *SIGNERS,
        *("--output", "hot-fix", "--bundler-key", "keys/build-machine.key"),
    )["data"]
    cut = time.monotonic()
    (one,) = made["bundles"]
    story.note(
        f"{made['release']} and the revocation of {', '.join(made['revoked'][0]['names'])}, signed together:"
        f" {made['signatures']} of {made['threshold']}"
    )
    story.note(
        f"bundle {one['bundle']}: {size(one['chunk_bytes'])} of chunks on {len(one['volumes'])} volume,"
        f" baseline {one['baseline']}, for {', '.join(made['serves'])}"
    )
    done = story.run_all(*(("high", "import", "hot-fix", *_at(name), "--activate") for name in FOLDERS))
    ended = time.monotonic()
    for name, answer in zip(FOLDERS, done, strict=True):
        same = _model(story, name) == models[name]
        story.note(f"{name}: {answer['data']['target']} active; its model is the same to the byte: {same}")
        if not same:
            sys.exit(f"the model of {name} changed")
    story.note(
        f"from the edit to three active enclaves: {ended - started:.1f} s, of which {cut - started:.1f} s on the"
        " low side (people's thinking and the courier not counted)"
    )
    no_return(story)


def mend(story: Story) -> None:
    """Make guard 2.2: 1 % on the weights of one layer stands in for training on what slipped through."""
    shutil.copytree(STACK / "guard-2.1", story.folder / "guard-2.2")
    weights = story.folder / "guard-2.2/guard.safetensors"
    data = bytearray(weights.read_bytes())
    length = struct.unpack_from("<Q", data)[0]
    first, end = json.loads(data[8 : 8 + length])["fc1.weight"]["data_offsets"]
    place, layout = 8 + length + first, f"<{(end - first) // 2}e"
    struct.pack_into(
        layout, data, place, *(1.01 * number for number in struct.unpack_from(layout, data, place))
    )
    weights.write_bytes(data)
    story.note(f"guard 2.2: {(end - first) // 2:,} numbers of guard 2.1 are mended")


def no_return(story: Story) -> None:
    """The old guard is refused everywhere, and the record proves what runs."""
    story.tell("The old guard cannot come back")
    refused = story.run_all(*(("high", "rollback", *_at(name), "--yes") for name in FOLDERS), expect=6)
    for name, answer in zip(FOLDERS, refused, strict=True):
        story.note(f"{name}: exit {answer['error']['exit']}, {answer['error']['message']}")
        story.note(f"{' ' * len(name)}  {answer['error']['hint']}")
    story.tell("And the record of each proves it, to somebody who has nothing but its public key")
    *verified, runs = story.run_all(
        *(("provenance", "verify", *_at(name)) for name in FOLDERS),
        ("provenance", "during", "guard@2.2", *_at("charlie"), "--prove"),
    )
    for name, answer in zip(FOLDERS, verified, strict=True):
        story.note(f"{name}: {answer['data']['size']} entries, ok {answer['data']['ok']}")
    (story.folder / "charlie-runs.json").write_text(json.dumps(runs))
    for period in runs["data"]["periods"]:
        story.note(f"charlie runs {period['release']} with guard 2.2 since {period['since']['time']}")
    for line in story.check_alone("charlie-runs.json", "keys/charlie.pub"):
        story.note(line)


def _at(name: str) -> tuple[str, str]:
    """Return the words that say where an enclave is installed."""
    return ("--enclave", FOLDERS[name])


def _model(story: Story, name: str) -> str:
    """Return the SHA-512 of the model that an enclave serves."""
    path = story.folder / FOLDERS[name] / "active/base/model.safetensors"
    return hashlib.sha512(path.read_bytes()).hexdigest()


def _manifest(story: Story, version: str, change: tuple[str, str, str, str]) -> Path:
    """Write the manifest of 2026.11.1 again with one component changed: folder, version, new folder, new version."""
    name, old, folder, new = change
    text = (MANIFESTS / "assistant-2026.11.1.yaml").read_text().replace("2026.11.1", version)
    before = f'version: "{old}"\n    source: {{path: ../examples/stack/{name}-{old}}}'
    if before not in text:
        sys.exit(f"the example manifest has no {name} {old}")
    text = text.replace(before, f'version: "{new}"\n    source: {{path: {folder}}}')
    path = story.folder / f"assistant-{version}.yaml"
    path.write_text(text.replace("../examples/stack", str(STACK)))
    return path


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


CHAPTERS = (make_keys, make_sides, first_release, second_release, look_back, more_enclaves, emergency)


def main() -> None:
    """Tell the story in a fresh folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="an empty folder to leave everything in")
    keep = parser.parse_args().keep
    with tempfile.TemporaryDirectory(prefix="airlift-demo-") as scratch:
        story = Story(Path(keep or scratch).resolve())
        story.folder.mkdir(parents=True, exist_ok=True)
        for chapter in CHAPTERS:
            chapter(story)
        print(f"\nDone in {time.monotonic() - story.started:.0f} s.", flush=True)


if __name__ == "__main__":
    main()
