"""What comes before a release: keys, a depot of one's own, drafts, and what is fetched (SPEC 4.3, L1.4, L2.19)."""

import hashlib
from pathlib import Path

from tests.stateful.training_side import TrainingSide
from tests.support.depots import BUNDLER


class BeginningSide(TrainingSide):
    """What is done before anything is released, and all the rest."""

    def make_key(self, name: str) -> bool:
        """Make a key for somebody, and look at both of its files."""
        files = [self.folder / "made" / f"{name}.{kind}" for kind in ("key", "pub")]
        there = files[0].exists()
        said = self.desk.run("keys", "generate", name, "--out", files[0].parent, "--no-passphrase")
        if there:
            return self.judge("keys generate", said, 2, {"exists"})
        self.judge("keys generate", said, 0)
        shown = self.desk.run("keys", "show", *files)
        assert [item["fingerprint"] for item in shown.data["keys"]] == [said.data["fingerprint"]] * 2
        return self.judge("keys show", shown, 0)

    def begin_depot(self, folder: Path, roots: tuple[str, ...], releasers: tuple[str, ...]) -> bool:
        """Make a depot in which one root member gave the public key only, and signs afterwards (4.3)."""
        there = folder.exists()
        words = [word for name in roots[:1] for word in ("--root-key", str(self.site.keys / f"{name}.pub"))]
        words += [word for name in roots[1:] for word in ("--root-key", self.key(name))]
        words += [word for name in releasers for word in ("--release-key", self.key(name))]
        counts = ("--root-threshold", str(len(roots)), "--release-threshold", str(len(releasers)))
        end = (*counts, "--bundler-key", self.key(BUNDLER), "--depot", folder)
        said = self.desk.run("low", "init", *words, *end)
        if there:
            return self.judge("low init", said, 2, {"exists"})
        self.judge("low init", said, 0)
        assert not (folder / "root.json").exists()
        signed = self.desk.run("low", "sign", "root", *self.key_words(roots[:1]), "--depot", folder)
        assert signed.data["published"]
        assert (folder / "root.json").is_file()
        return self.judge("low sign", signed, 0)

    def draft(self, folders: tuple[Path, ...], output: Path) -> bool:
        """Draft a manifest for what lies in folders, to a new file."""
        there = output.exists()
        said = self.low("draft", *folders, "--output", output)
        if there:
            return self.judge("low draft", said, 2, {"exists"})
        assert all(folder.name in output.read_text() for folder in folders)
        return self.judge("low draft", said, 0)

    def outdated(self, folder: Path, *, released: bool) -> bool:
        """Ask what changed upstream: of releases that came from no hub nothing, and nobody is asked."""
        said = self.desk.run("low", "outdated", "--depot", folder)
        if not released:
            return self.judge("low outdated", said, 5, {"release-not-held"})
        assert said.data["sources"] == []
        return self.judge("low outdated", said, 0)

    def fetch(self, url: str, pinned: bytes, served: bytes | None) -> bool:
        """Fetch a file that is pinned by its digest, whatever a server on this machine has at that place."""
        digest = f"sha256:{hashlib.sha256(pinned).hexdigest()}"
        said, kept = self.low("fetch", url, "--digest", digest), self.home / "fetched"
        whole = [path for path in kept.glob("*") if path.read_bytes() == pinned] if kept.is_dir() else []
        assert bool(whole) == (served == pinned)
        if served is None:
            return self.judge("low fetch", said, 5)
        return self.judge("low fetch", said, 0 if served == pinned else 3)
