"""`repro check` and `repro regress` as they are called: options, exit status, files."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.claims.verdicts import write_verdicts
from repro.cli.check import judge
from repro.cli.main import main
from repro.jobs.plan import plan
from repro.records.sums import SUMS, sums_of, sums_text
from repro.runs.registry import get_task

Write = Callable[..., object]


@pytest.fixture
def runs(results: Path, write: Write) -> Path:
    """Three seeds of each bar of figure 1."""
    for job in plan([get_task("pattern_generation")], "quick", (0, 1, 2)):
        write(job, nmse=0.011 + 0.001 * job.seed)
    return results


def record(root: Path, verdicts: dict[str, str]) -> None:
    """Put verdicts, and the list of hashes of all files, into the accepted results, which hold no run."""
    (root / "accepted" / "verdicts.json").write_text(json.dumps(verdicts))
    (root / "accepted" / SUMS).write_bytes(sums_text(sums_of(root / "accepted")))


def test_a_page_that_cannot_be_written(results: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    record(results, {})
    page = tmp_path / "page.md"
    page.write_bytes("Für alle".encode("latin-1"))
    for words, sentence in (
        (["check", "--write", str(page)], "page.md is not UTF-8 text: byte 1 is 0xfc"),
        (["check", "--junit", "."], "cannot write .: it is a folder"),
        (["check", "--brief", "--why"], "--brief has no reasons"),
        (["questions", "--records", ","], "--records: wants a list such as accepted,runs"),
    ):
        assert main(words) == 2
        assert sentence in capsys.readouterr().err


def test_what_own_runs_lack_is_not_worse_and_what_the_accepted_lost_is(runs, capsys):
    record(runs, {"2a-bptt": "reproduced", "1d-eprop1": "fitted"})
    assert main(["check", "--records", "runs"]) == 0
    assert "worse than recorded" not in capsys.readouterr().out
    assert main(["check"]) == 1
    assert "worse than recorded: 1d-eprop1 (was fitted), 2a-bptt (was reproduced)" in capsys.readouterr().out
    record(runs, {"1d-norec": "reproduced"})
    assert main(["check", "--records", "runs"]) == 1  # control: that one was run, and fell


def test_brief_begins_with_the_tally_and_has_no_colour_in_a_pipe(runs, capsys):
    assert main(["check", "--figure", "fig1", "--records", "runs", "--brief"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("10 claims: ") and "\x1b" not in out
    assert out.endswith("\nthe reasons: repro check --why --records runs --figure fig1\n")
    assert main(["check", "--figure", "fig1", "--records", "runs", "--why"]) == 0
    assert "the paper's 0.011 within factor 1.5" in " ".join(capsys.readouterr().out.split()) and "within" not in out


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_has_colour_unless_it_is_refused(runs, capsys, monkeypatch, no_color, coloured):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    main(["check", "--figure", "fig1", "--records", "runs", "--brief"])
    assert ("\x1b[" in capsys.readouterr().out) == coloured


def test_the_forms_exclude_each_other(runs, capsys):
    assert main(["check", "--json", "--brief"]) == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_markdown_and_junit(runs, capsys, tmp_path):
    record(runs, {"1d-norec": "reproduced"})
    file = tmp_path / "claims.xml"
    assert main(["check", "--figure", "fig1", "--records", "runs", "--markdown", "--junit", str(file)]) == 1
    assert "| 1d-norec | 1d | 0.259 |" in capsys.readouterr().out
    cases = {case.get("name"): case for case in ET.parse(file).iter("testcase")}
    failed = [name for name, case in cases.items() if case.find("failure") is not None]
    assert failed == ["1d-norec"] and len(cases) == 10
    assert (
        main(["check", "--figure", "fig1", "--records", "runs", "--junit", str(tmp_path / "none" / "claims.xml")]) == 2
    )
    assert "cannot read or write" in capsys.readouterr().err


def test_recorded_verdicts_are_their_own_reference(runs, tmp_path):
    write_verdicts(runs / "accepted", judge("runs", "fig1"))
    (runs / "accepted" / SUMS).write_bytes(sums_text(sums_of(runs / "accepted")))
    assert main(["check", "--figure", "fig1", "--records", "runs"]) == 0


def test_regress_has_four_ends(runs, write, capsys):
    assert main(["regress"]) == 3
    assert "no accepted results" in capsys.readouterr().out
    assert main(["accept", str(runs / "runs")]) == 0
    assert main(["regress"]) == main(["regress", "--require", "all"]) == 0
    for job in plan([get_task("pattern_generation")], "quick", (0, 1, 2)):
        write(job, nmse=0.5)
    assert main(["regress"]) == 1
    capsys.readouterr()
    for words, sentence in (
        (["--max-shift", "1"], "--max-shift 1: wants a factor above 1"),
        (["--max-shift", "nan"], "wants a factor above 1"),
        (["--require", "speech"], "--require speech: no accepted cell matches"),
        (["--records", str(runs / "none")], "no folder"),
    ):
        assert main(["regress", *words]) == 2 and sentence in capsys.readouterr().err
    assert main(["regress", "--records", str(runs / "studies")]) == 2


def test_regress_prints_what_it_requires(runs, write, capsys, tmp_path):
    assert main(["accept", str(runs / "runs")]) == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["regress", "--records", str(empty), "--require", "pattern_generation/bptt"]) == 3
    assert "nothing was compared" in capsys.readouterr().out
