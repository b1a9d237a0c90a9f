"""An adapter's tokenizer beside that of its parent, which is in the same release or in the depot."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from airlift.bundle.component.waiver import Waiver
from airlift.errors import ForbiddenFileError
from airlift.low.release.make_release import ReleaseResult, make_release
from tests.support import keys
from tests.support.depots import NOW, RELEASERS, Site, signed_site
from tests.support.drifting import TOKENS, configuration, embedded, tokenizer, unigram
from tests.support.weights import weights

BASE = {
    "config.json": configuration(vocab_size=16),
    "model.safetensors": embedded(16),
    "tokenizer.json": tokenizer(),
}
SAME = {"adapter_model.safetensors": weights(3), "tokenizer.json": unigram()}
OTHER = SAME | {"tokenizer.json": tokenizer(TOKENS[::-1])}
DRIFT = {"what": "drift", "reason": "Trained with its own tokens."}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


def adapter(base: str | None = None, relation: str = "adapter-of", **more: Any) -> dict[str, Any]:
    parent = {"component": "base", "relation": relation, **({"version": base} if base else {})}
    item = {"name": "docs", "kind": "adapter", "version": "1", "source": {"path": "docs"}}
    return item | {"parents": [parent], **more}


def release(
    site: Site, docs: dict[str, bytes], item: dict[str, Any], *, with_base: bool = True, number: str = "1"
) -> ReleaseResult:
    """Release an adapter, with or without its base, and return the result."""
    path = site.manifest({"base": BASE, "docs": docs}, number)
    document = yaml.safe_load(path.read_text())
    document["components"] = [*document["components"][: int(with_base)], item]
    path.write_text(yaml.safe_dump(document))
    return make_release(site.depot, path, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)


def test_the_same_ids_are_no_drift(site: Site) -> None:
    release(site, SAME, adapter())
    release(site, SAME, adapter("1"), with_base=False, number="2")


@pytest.mark.parametrize("with_base", [True, False])
def test_other_ids_are_drift(site: Site, with_base: bool) -> None:
    """THREATS, content: an adapter with a tokenizer that gives tokens other ids than its parent's."""
    site.release({"base": BASE}, "0", versions={"base": "1"})
    with pytest.raises(ForbiddenFileError) as caught:
        release(site, OTHER, adapter("1"), with_base=with_base)
    assert caught.value.message == (
        "component docs: tokenizer.json gives tokens other ids than the tokenizer of its parent base 1 does"
    )
    assert "leave it out" in caught.value.hint
    assert "accept: [{what: drift" in caught.value.hint
    (kept,) = [item for item in site.depot.releases() if item.name == "assistant"]
    assert kept.version == "0"


def test_it_can_be_waived(site: Site) -> None:
    done = release(site, OTHER, adapter(accept=[DRIFT]))
    (docs,) = [item for item in site.depot.load_release(done.digest).components if item.name == "docs"]
    assert docs.accept == (Waiver("drift", DRIFT["reason"], ("tokenizer.json",)),)


def test_what_is_no_adapter_or_not_held_is_not_compared(site: Site) -> None:
    release(site, OTHER, adapter(relation="tuned-from"))
    release(site, OTHER, adapter("0.9"), with_base=False, number="2")
    release(site, OTHER, adapter() | {"kind": "model"}, number="3")
