"""Any flipped, cut or swapped byte of a medium's metadata is proven bad; nothing but an error of ours comes out."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.errors import ProvenBadError
from tests.support.trust_simulator import Enclave, Simulator

MEDIUM = Simulator().publish().rotate().bump().publish()
PINNED = MEDIUM.files["1.root.json"]
# what an enclave that pinned root 1 reads; the files of the first versions are not looked at any more
READ = sorted(set(MEDIUM.files) - {f"1.{role}.json" for role in ("root", "targets", "bundler", "snapshot")})


def refused(medium: Simulator) -> None:
    with tempfile.TemporaryDirectory() as folder:
        enclave = Enclave(PINNED, Path(folder))
        with pytest.raises(ProvenBadError):
            enclave.refresh(medium)
        assert enclave.state == {}


def test_the_medium_is_good_as_it_is(tmp_path: Path) -> None:
    trusted = Enclave(PINNED, tmp_path).refresh(MEDIUM)
    assert set(trusted.versions.values()) == {2}


@given(name=st.sampled_from(READ), position=st.integers(0, 1 << 20), bit=st.integers(0, 7))
def test_a_flipped_bit(name: str, position: int, bit: int) -> None:
    data = bytearray(MEDIUM.files[name])
    data[position % len(data)] ^= 1 << bit
    refused(Simulator(files={**MEDIUM.files, name: bytes(data)}))


@given(name=st.sampled_from(READ), position=st.integers(0, 1 << 20))
def test_a_cut_file(name: str, position: int) -> None:
    data = MEDIUM.files[name]
    refused(Simulator(files={**MEDIUM.files, name: data[: position % len(data)]}))


@given(name=st.sampled_from(READ), extra=st.binary(min_size=1, max_size=40).filter(lambda data: data.strip()))
def test_a_grown_file(name: str, extra: bytes) -> None:
    refused(Simulator(files={**MEDIUM.files, name: MEDIUM.files[name] + extra}))


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(READ, 2)))
def test_swapped_files(one: str, other: str) -> None:
    refused(Simulator(files={**MEDIUM.files, one: MEDIUM.files[other], other: MEDIUM.files[one]}))
