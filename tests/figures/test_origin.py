"""Every file names the records that it was drawn from."""

import hashlib
import struct
import zlib
from pathlib import Path

import pytest

import paper_figures
from repro.records import store
from repro.records.record import RECORD
from repro.records.sums import SUMS, sums_of, sums_text
from tests.figures.synthetic import write_runs
from tests.figures.test_fig1 import texts


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    """Figure 1d of three seeds of BPTT."""
    write_runs(tmp_path / "records", variants=["bptt"])
    drawn = paper_figures.draw("fig1", tmp_path / "records", ["1d"], tmp_path / "out")
    return {path.suffix: path.read_bytes() for path in drawn}


def digest(where: Path) -> str:
    """SHA-256 of the SHA-256s of the records, in the order of their seeds."""
    records = sorted(where.rglob(RECORD))
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in records)).hexdigest()


def png_texts(data: bytes) -> str:
    """The text chunks of a PNG."""
    at, found = 8, ""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        found += body.decode("latin-1") if kind == b"tEXt" else ""
        at += 12 + length
    return found


def test_the_foot_counts_the_records(files, tmp_path):
    short = digest(tmp_path / "records")[:8]
    assert f"records: 3 runs, seeds 0-2 ({short})" in texts(files[".svg"])


def test_every_kind_of_file_lists_them(files, tmp_path):
    whole = digest(tmp_path / "records")
    svg, png, pdf = files[".svg"].decode(), png_texts(files[".png"]), files[".pdf"].decode("latin-1")
    for text in (svg, png, pdf.replace("\\\n", "")):
        assert "fig1d" in text and "pattern_generation/bptt-" in text and "seeds 0-2" in text and whole in text


def test_another_record_has_another_digest(files, tmp_path):
    write_runs(tmp_path / "records", variants=["bptt"], seeds=(3,))
    (again, *_) = paper_figures.draw("fig1", tmp_path / "records", ["1d"], tmp_path / "again")
    (foot,) = [word for word in texts(again.read_bytes()) if word.startswith("records: ")]
    assert foot.startswith("records: 4 runs, seeds 0-3 (") and foot not in texts(files[".svg"])


def test_accepted_records_never_replace_figures_of_one_s_own(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "ROOT", tmp_path)
    for kind, seeds in (("runs", (0,)), ("accepted", (1,))):
        write_runs(tmp_path / kind, seeds=seeds, variants=["bptt"])
    (tmp_path / "accepted" / SUMS).write_bytes(sums_text(sums_of(tmp_path / "accepted")))
    own = {path: path.read_bytes() for path in paper_figures.draw("fig1", "runs", ["1d"])}
    assert {path.parent for path in own} == {tmp_path / "figures"}
    for where in (tmp_path / "accepted", str(tmp_path / "accepted")):
        accepted = paper_figures.draw("fig1", where, ["1d"])
        assert {path.parent for path in accepted} == {tmp_path / "figures" / "accepted"}
    assert all(path.read_bytes() == data for path, data in own.items())
    assert "records: 1 accepted run, seed 1 (" in " ".join(texts(accepted[0].read_bytes()))
