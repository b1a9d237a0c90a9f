"""``airlift low bundle --explain`` for people: what a component costs, how it was coded, what costs the most."""

from collections.abc import Mapping, Sequence
from typing import Any

from airlift.cli.frame.output import Page, size
from airlift.shown import clean

LEAST_SHARE = 0.01


def render(page: Page, components: Sequence[Mapping[str, Any]]) -> None:
    """Write the account of a bundle, component by component."""
    for item in components:
        page.line()
        page.line(f"component {item['component']}", style="bold")
        page.facts(
            {
                "rebuilds": size(item["target_bytes"]),
                "takes": f"{size(item['coded_bytes'])}, {_percent(item['ratio'])}",
                "an element": f"{item['bits_per_element']:.3f} bits of {item['elements']} elements",
                "consists of": ", ".join(_parts(item)) or "nothing",
            }
        )
        page.table(
            ["codec", "blocks", "target bytes", "coded bytes"],
            [(c["codec"], c["blocks"], c["target_bytes"], c["coded_bytes"]) for c in item["codecs"]],
        )
        page.table(
            ["largest", "codec", "share", "coded bytes", "bits an element"], map(_largest, item["largest"])
        )


def _largest(item: Mapping[str, Any]) -> tuple[Any, ...]:
    where = f"{item['path']}: {item['tensor'] or 'outside tensors'}"
    bits = f"{item['bits_per_element']:.3f}"
    return clean(where), item["codec"], _percent(item["share"]), item["coded_bytes"], bits


def _parts(item: Mapping[str, Any]) -> list[str]:
    """Return the parts that dominate, with their share."""
    whole = item["coded_bytes"]
    shares = {name: taken / whole for name, taken in item["parts"].items()}
    return [f"{name} {_percent(share)}" for name, share in shares.items() if share >= LEAST_SHARE]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
