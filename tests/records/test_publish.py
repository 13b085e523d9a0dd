"""`repro publish`: panels, claims and counts in one W&B run."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from repro.claims.claim_result import ClaimResult
from repro.cli import publish as command
from repro.cli.main import main
from repro.errors import UserError
from repro.records import store
from repro.records.publish import Summary, publish
from repro.records.wandb_file import WandbFile, read_wandb_file

VERDICTS = ["reproduced", "reproduced", "not run"]


def results() -> list[ClaimResult]:
    nan = float("nan")
    return [
        ClaimResult(f"c{k}", "1d", "value", claimed, "10 %", value, nan, nan, 1, False, True, verdict, "because")
        for k, (claimed, value, verdict) in enumerate(
            zip([0.5, "a < b", None], [0.25, nan, nan], VERDICTS, strict=True)
        )
    ]


@pytest.fixture
def panels(tmp_path: Path) -> list[Path]:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (4, 3), "red").save(tmp_path / "fig1d.png")
    (tmp_path / "fig1d.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return [tmp_path / "fig1d.png", tmp_path / "fig1d.svg"]


def only_part(folder: Path) -> tuple[Path, WandbFile]:
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    return path.parent, read_wandb_file(path)


def test_a_summary_run(offline: pytest.MonkeyPatch, tmp_path: Path, panels: list[Path]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    where = publish({"fig1": Summary(panels, [command.row(result) for result in results()])}, out)
    folder, part = only_part(out)
    assert Path(where) == folder
    assert (part.job_type, part.exit_code, part.project) == ("summary", 0, "eprop-repro")
    counts = {key: value for key, value in part.summary.items() if key.startswith("verdicts/")}
    assert counts == {"verdicts/reproduced": 2, "verdicts/not run": 1}
    assert part.summary["fig1/fig1d"]["_type"] == "image-file"
    assert (folder / "files" / part.summary["fig1/fig1d"]["path"]).read_bytes() == panels[0].read_bytes()
    table = json.loads((folder / "files" / part.summary["claims"]["path"]).read_text())
    row = dict(zip(table["columns"], table["data"][0], strict=True))
    assert (row["figure"], row["id"], row["claimed"], row["observed"], row["low"]) == ("fig1", "c0", "0.5", 0.25, None)
    assert [dict(zip(table["columns"], line, strict=True))["verdict"] for line in table["data"]] == VERDICTS
    named = {artifact.name: set(artifact.files) for artifact in part.artifacts if not artifact.name.startswith("run-")}
    assert named == {
        "fig1-panels": {"fig1d.png", "fig1d.svg"},
        "claims": {"claims.table.json"},
    }
    assert list((out / "wandb" / "artifacts").rglob("*")), "artifacts are staged where wandb sync finds them"


def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, draw: Any, *figures: str) -> int:
    monkeypatch.setattr(store, "figures_folder", lambda: tmp_path / "figures")
    monkeypatch.setattr(command, "draw", draw)
    monkeypatch.setattr("repro.cli.check.judge", lambda records, name: results())
    records = tmp_path / "records"
    records.mkdir()
    given = {"figures": list(figures), "records": str(records), "dashboard": False}
    return command.execute(Namespace(**given, profile=None, project=None, entity=None))


def test_the_command_publishes_what_can_be_drawn(
    offline: pytest.MonkeyPatch, tmp_path: Path, panels: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def draw(figure: str, *_: Any) -> list[Path]:
        if figure != "fig1":
            raise UserError("no records")
        return panels

    assert call(offline, tmp_path, draw) == 0
    folder, part = only_part(tmp_path / "figures")
    assert part.config["figures"] == ["fig1"]
    printed = capsys.readouterr().out
    assert printed == f"kept on disk: fig1; send it with `wandb sync {folder}`\n"


@pytest.mark.parametrize(
    ("figures", "sentence"), [((), "nothing to publish: no figure can be drawn from"), (("fig1",), "no records here")]
)
def test_nothing_to_publish(
    offline: pytest.MonkeyPatch, tmp_path: Path, figures: tuple[str, ...], sentence: str
) -> None:
    def draw(*_: Any) -> list[Path]:
        raise UserError("no records here")

    with pytest.raises(UserError, match=sentence):
        call(offline, tmp_path, draw, *figures)
    assert not (tmp_path / "figures").exists()


def test_disabled_publishes_nothing(offline: pytest.MonkeyPatch, tmp_path: Path, panels: list[Path]) -> None:
    offline.setenv("WANDB_MODE", "disabled")
    with pytest.raises(UserError, match="W&B is disabled"):
        call(offline, tmp_path, lambda *_: panels, "fig1")


def test_options_that_would_be_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    for words, sentence in (
        (["fig1", "--project", "mine"], "--project is for --dashboard; WANDB_PROJECT is for the run"),
        (["--dashboard", "--records", "accepted"], "--records is not for --dashboard"),
    ):
        assert main(["publish", *words]) == 2
        assert sentence in capsys.readouterr().err


def test_an_unknown_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "fig11"]) == 2
    assert "did you mean fig1?" in capsys.readouterr().err


def test_wandb_that_refuses(offline: pytest.MonkeyPatch, tmp_path: Path, panels: list[Path]) -> None:
    offline.setenv("WANDB_MODE", "nonsense")
    with pytest.raises(UserError, match="W&B took nothing: "):
        call(offline, tmp_path, lambda *_: panels, "fig1")
