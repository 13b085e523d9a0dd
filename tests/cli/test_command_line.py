"""The command line as a new user meets it: quick, without torch, and never a traceback for bad input."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.cli import listing, reproduce
from repro.cli.main import main
from repro.errors import Busy, RunFailed, RunPruned, StorageAway, Terminated, UserError
from repro.jobs.plan import plan
from repro.records.sums import SUMS, sums_of, sums_text
from repro.runs.registry import get_task

HEAVY = ("torch", "pytorch_lightning", "lightning", "wandb", "optuna")
BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in {blocked!r}:
            raise ModuleNotFoundError("blocked", name=name)
sys.meta_path.insert(0, Blocker())
from repro.cli.main import main
sys.exit(main())
"""


def repro(
    *words: str, results: Path | None = None, blocked: tuple[str, ...] = HEAVY
) -> subprocess.CompletedProcess[str]:
    """`repro WORDS` in a Python where importing any of `blocked` fails."""
    env = os.environ | ({"REPRO_RESULTS": str(results)} if results else {})
    command = [sys.executable, "-c", BLOCK.format(blocked=blocked), *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)


def test_the_block_blocks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCK.format(blocked=HEAVY).replace("repro.cli.main", "torch")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        [],
        ["--version"],
        ["run", "--help"],
        ["reproduce", "--help"],
        ["check", "--help"],
        ["publish", "--help"],
        ["import", "--help"],
    ],
)
def test_help_needs_nothing(words: list[str]) -> None:
    """It answers in less than a second, since it imports no package that takes longer."""
    done = repro(*words, blocked=(*HEAVY, "pandas", "numpy", "scipy", "matplotlib"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "repro" in done.stdout


@pytest.mark.parametrize(
    ("what", "expected"),
    [("tasks", "pattern_generation"), ("variants", "e-prop 1"), ("profiles", "smoke"), ("claims", "1d-eprop1")],
)
def test_list(what: str, expected: str) -> None:
    done = repro("list", what)
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout


def test_checking_timit_needs_no_torch(tmp_path: Path) -> None:
    done = repro("data", "timit", str(tmp_path), results=tmp_path / "results")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no utterance in {tmp_path}" in done.stderr


@pytest.fixture
def runs(results: Path, write: Callable[..., object]) -> Path:
    """A results folder with a finished run of each variant, three seeds."""
    for job in plan([get_task("pattern_generation")], "quick", (0, 1, 2)):
        write(job, nmse=0.011 + 0.001 * job.seed)
    return results


FIELDS = "id panel kind claimed tolerance observed low high n_seeds bound indicative verdict reason substitute_note"
FIELDS += " statistic n_lost holds_in"


def test_check_without_torch(runs: Path) -> None:
    done = repro("check", "--figure", "fig1", "--records", "runs", "--json", results=runs)
    assert done.returncode == 0, done.stderr
    rows = {row["id"]: row for row in json.loads(done.stdout)}
    assert all(" ".join(row) == FIELDS for row in rows.values())
    assert "2a-eprop1" not in rows
    assert rows["1d-eprop1"]["verdict"] == "fitted"
    assert rows["1d-eprop1"]["n_seeds"] == 3
    assert rows["1d-norec"]["verdict"] == "not reproduced"


def test_check_prints_which_claims_fell(runs: Path) -> None:
    (runs / "accepted" / "verdicts.json").write_text(json.dumps({"1d-norec": "reproduced"}))
    (runs / "accepted" / SUMS).write_bytes(sums_text(sums_of(runs / "accepted")))
    done = repro("check", "--figure", "fig1", "--records", "runs", results=runs)
    assert done.returncode == 1
    assert "worse than recorded: 1d-norec (was reproduced)" in done.stdout


def test_check_of_nothing(results: Path) -> None:
    done = repro("check", results=results)
    assert (done.returncode, done.stderr) == (0, "")
    assert "not run" in done.stdout


def test_accept_then_regress(runs: Path) -> None:
    done = repro("accept", str(runs / "runs" / "pattern_generation"), results=runs)
    assert done.returncode == 0, done.stderr
    assert "27 records accepted" in done.stdout
    verdicts = json.loads((runs / "accepted" / "verdicts.json").read_text())
    assert verdicts["1d-eprop1"] == "not run"  # seeds 0 to 2 are not among the planned ones
    assert repro("check", results=runs).returncode == 0
    done = repro("regress", "--json", results=runs)
    assert done.returncode == 0, done.stderr
    assert {cell["verdict"] for cell in json.loads(done.stdout)} == {"same"}


def test_regress_prints_a_move(runs: Path, write: Callable[..., object]) -> None:
    assert repro("accept", str(runs / "runs"), results=runs).returncode == 0
    for job in plan([get_task("pattern_generation")], "quick", (0, 1, 2)):
        write(job, nmse=0.5 + 0.001 * job.seed)
    done = repro("regress", results=runs)
    assert done.returncode == 1, done.stdout
    assert "moved" in done.stdout


def test_figures_without_torch(runs: Path) -> None:
    done = repro("figures", "fig1", "--panels", "1d", "--out", str(runs / "drawn"), results=runs)
    assert done.returncode == 0, done.stderr
    assert (runs / "drawn" / "fig1d.svg").is_file()
    assert done.stdout.strip().endswith("drawn: fig1d (svg, png, pdf)")


def test_reproduce_ends_with_figure_and_verdicts(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reproduce.conclude("fig1", ("1d",))
    said = capsys.readouterr().out
    assert "figures: fig1d (svg, png, pdf)\n" in said
    assert "1d-eprop1" in said and "1c-nmse" not in said


def test_smoke_runs_get_no_verdict(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reproduce.conclude("fig1", ("1d",), False)
    out = capsys.readouterr().out
    assert "drawn in" in out and out.endswith("no verdicts\n") and "1d-eprop1" not in out
    reproduce.conclude("fig1", ("1d",))
    assert "1d-eprop1" in capsys.readouterr().out  # control


def test_reproduce_prints_why_it_cannot_draw(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reproduce.conclude("fig1", None)
    assert "no figure and no verdicts: no records" in capsys.readouterr().out


def test_a_finished_run_trains_nothing(runs: Path) -> None:
    done = repro("run", "pattern_generation", "--variant", "bptt", results=runs)
    assert done.returncode == 0, done.stderr
    assert "already finished, nothing to train" in done.stdout


def test_records_as_frames(runs: Path) -> None:
    code = "import repro; frame = repro.load(); print(len(frame), sorted(set(frame.seed)), frame.nmse.max())"
    env = os.environ | {"REPRO_RESULTS": str(runs)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["27", "[0,", "1,", "2]", "0.013"]


RUN = "run pattern_generation --variant e_prop_1 --profile smoke"

BAD = {
    "comand": "unknown command 'comand'; known: reproduce, run",
    "lst": "did you mean list?",
    "list variant": "unknown table 'variant'; did you mean variants?",
    "run": "the following arguments are required: TASK",
    "run patern_generation --variant bptt": "unknown task 'patern_generation'; did you mean pattern_generation?",
    "run pattern_generation --variant eprop1": "unknown variant 'eprop1' of pattern_generation; did you mean e_prop_1?",
    "run pattern_generation --variant bptt --profile quik": "unknown profile 'quik'",
    f"{RUN} --device gpu": "unknown --device 'gpu'",
    f"{RUN} --seeds 3": "unknown argument '--seeds'; did you mean --seed?",
    f"{RUN} --minutes=-1": "--minutes -1: wants a number of minutes, such as 90 or 0.5",
    f"{RUN} --seed 1.5": "--seed 1.5: wants a whole number",
    f"{RUN} --seed=-1": "--seed -1: wants a whole number",
    f"{RUN} --set n_rec": "--set n_rec: wants KEY=VALUE",
    f"{RUN} --set n_recs=3": "unknown key 'n_recs' of PatternGenerationConfig; did you mean n_rec?",
    f"{RUN} --set n_rec=many": "n_rec wants a whole number",
    f"{RUN} --set n_rec=4.5": "n_rec wants a whole number",
    f"{RUN} --set n_rec=0": "n_rec lies between 1 and 100000",
    f"{RUN} --set learning_rate=nan": "learning_rate lies between",
    f"{RUN} --set learning_rate=inf": "learning_rate lies between",
    f"{RUN} --set recurrent=perhaps": "recurrent wants true or false",
    f"{RUN} --set feedback=rondom": "feedback is one of random, symmetric, global",
    f"{RUN} --out {{file}}/runs": "file is not a folder",
    "reproduce fig9": "unknown figure 'fig9'; did you mean fig4?",
    "reproduce fig1 --seeds 9-0": "--seeds 9-0: wants a count",
    "reproduce fig1 --jobs 0": "--jobs 0: wants a whole number from 1",
    "reproduce fig1 --panels 9z": "unknown panel '9z' of fig1; known: 1c, 1d, 1e",
    "reproduce fig1 --profile tiny": "unknown profile 'tiny'",
    "figures fig9": "unknown figure 'fig9'",
    "figures fig1 --panels 1c,9z": "unknown panel '9z' of fig1",
    "figures fig1 --records nowhere": "no folder nowhere",
    "figures fig1": "no record",
    "check --figure fig9": "unknown figure 'fig9'",
    "check --records nowhere": "no folder nowhere",
    "accept nowhere": "no record in nowhere",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_sentence(line: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "file").write_text("")
    assert main(line.format(file=results / "file").split()) == 2
    said = capsys.readouterr()
    assert said.err.startswith("repro: error: ")
    assert said.err.count("\n") == 1, "one line"
    assert BAD[line] in said.err
    assert said.out == ""
    assert list((results / "runs").iterdir()) == [], "nothing half-written"


def test_bad_input_answers_before_torch(results: Path) -> None:
    done = repro(*f"{RUN} --set n_rec=many".split(), results=results)
    assert (done.returncode, done.stderr) == (2, "repro: error: n_rec=many: n_rec wants a whole number\n")


@pytest.mark.parametrize("line", [RUN, "reproduce fig1", "accept ."])
def test_a_results_folder_that_is_a_file(line: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "runs").rmdir()
    (results / "accepted").rmdir()
    results.rmdir()
    results.write_text("")
    assert main(line.split()) == 2
    assert f"cannot write results to {results}" in capsys.readouterr().err


def test_a_broken_record_is_named_and_kept(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = next((runs / "runs" / "pattern_generation").glob("bptt-*/seed-0/record.json"))
    record.write_text(record.read_text()[:200])
    for line in ("run pattern_generation --variant bptt", "check --records runs", "figures fig1"):
        assert main(line.split()) == 2
        said = capsys.readouterr().err
        assert "bptt" in said and "is not JSON that we wrote" in said
        assert said.count("\n") == 1
    assert main(["runs"]) == 0
    assert " broken " in capsys.readouterr().out
    assert len(record.read_text()) == 200


def test_a_reader_that_leaves_early() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "repro", "list", "variants"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("raised", "status", "sentence"),
    [
        (UserError("wrong"), 2, "repro: error: wrong"),
        (RunFailed("lost"), 1, "repro: error: lost"),
        (Busy("another trains"), 75, "repro: another trains"),
        (StorageAway("no storage"), 75, "repro: no storage"),
        (RunPruned("stopped"), 3, "repro: stopped"),
        (Terminated("asked to end"), 75, "repro: asked to end"),
        (KeyboardInterrupt(), 130, "repro: interrupted"),
        (PermissionError(13, "Permission denied", "/results"), 2, "repro: error: cannot read or write /results: Perm"),
    ],
)
def test_errors_become_a_sentence_and_a_status(
    raised: BaseException,
    status: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(args: object) -> int:
        raise raised

    monkeypatch.setattr(listing, "execute", fail)
    assert main(["list", "tasks"]) == status
    assert capsys.readouterr().err.startswith(sentence)


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "execute", lambda args: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        main(["list", "tasks"])
