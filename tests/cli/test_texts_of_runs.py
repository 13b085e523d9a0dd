"""Which runs are those of a text that `repro data text` prepared."""

from pathlib import Path

import pytest

from repro.cli.main import main
from repro.runs.config import config_hash
from repro.runs.registry import get_task
from tasks.word_prediction.corpus import corpus
from tests.cli.test_data_words import served as served
from tests.cli.test_data_words import url as url
from tests.cli.test_data_words import written


@pytest.mark.parametrize("treebank", [False, True])
def test_runs_of_another_text_are_other_runs(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], treebank: bool
) -> None:
    """With the Penn Treebank here too, `--set corpus=text` names the user's text."""
    task = get_task("word_prediction")
    ptb_run = config_hash(task.resolve("bptt_4", "smoke", data={}))
    if treebank:
        assert main(["data", "ptb"]) == 0
    hashes, digests = [], []
    for lines in (40, 60, 40):
        assert main(["data", "text", str(written(tmp_path, lines))]) == 0
        config = task.resolve("bptt_4", "smoke", {"corpus": "text"} if treebank else None)
        hashes.append(config_hash(config))
        digests.append(config.corpus_digest)
        assert corpus("text").label == f"own text {config.corpus_digest}"
    assert hashes[0] == hashes[2] != hashes[1] and digests[0] == digests[2] != digests[1]
    assert config_hash(task.resolve("bptt_4", "smoke", data={})) == ptb_run != hashes[0]
    assert task.data_of(config) == "a text of your own in place of Penn Treebank"


def test_a_finished_run_of_one_text_is_none_of_another(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    words = ["run", "word_prediction", "--variant", "bptt_4", "--profile", "smoke", "--set", "iterations=1"]
    words += ["--set", "truncation_steps=4", "--set", "batch_size=2"]
    for lines, again in ((40, False), (60, False), (40, True)):
        assert main(["data", "text", str(written(tmp_path, lines))]) == 0
        capsys.readouterr()
        assert main(words) == 0
        assert ("already finished" in capsys.readouterr().out) == again
    name = get_task("word_prediction").resolve("bptt_4", "smoke").corpus_digest
    assert main(["data", "text", str(written(tmp_path, 60))]) == 0
    assert main([*words, "--set", f"corpus_digest={name}", "--seed", "1"]) == 2
    assert f"corpus_digest={name}: another text is here" in capsys.readouterr().err
