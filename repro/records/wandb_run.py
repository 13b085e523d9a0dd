"""W&B runs: their id, how one is started, and which iterations it already has. Needs the package wandb, no torch.

The user's settings win: what a WANDB_* variable or a settings file of wandb names is left as it is.
"""

import netrc
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from repro.records.files import write_atomically
from repro.records.wandb_file import WandbFile, read_wandb_file

PROJECT = "eprop-repro"
SERIES = "series/"  # before a series' name in the history: the record's metric of that name is another number
ITERATION = "iteration"  # the x axis
ID = "wandb-id"  # a file of a run's folder
INIT_SECONDS, FINISH_SECONDS = 30.0, 300.0  # what a server that does not answer may cost
FLUSH_SECONDS = 5.0  # what writing the last lines to disk may take
# Argument of wandb.init -> the setting that holds what the user chose.
USERS = {
    "project": "project",
    "group": "run_group",
    "job_type": "run_job_type",
    "name": "run_name",
    "tags": "run_tags",
    "id": "run_id",
    "resume": "resume",
}


def run_id(folder: Path, identity: str) -> str:
    """The W&B id of a run: its identity, and a random part that is kept in its folder.

    A run that is resumed, on whatever machine, has the same id. The same run in another results folder has another
    one, so that two people can share a project.
    """
    stem, path = re.sub(r"[^\w.-]+", "-", identity), folder / ID
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if not re.fullmatch(re.escape(stem) + "-[0-9a-f]{8}", text):
        text = f"{stem}-{secrets.token_hex(4)}"
        write_atomically(path, text.encode())
    return text


def forget_id(folder: Path) -> None:
    """The run has failed for good: trained again, it is another run in W&B."""
    (folder / ID).unlink(missing_ok=True)


def start(folder: Path, **ours: Any) -> Any:
    """Start a W&B run whose files lie in `folder`, or resume it: `ours` are arguments of `wandb.init`.

    Returns None where the user has disabled W&B. Where a server cannot be reached the run is kept on disk (offline),
    with one line of warning. Raises what wandb raises for wrong settings.
    """
    if os.environ.get("WANDB_MODE") == "disabled":  # before a second of imports
        return None
    import wandb

    known = wandb.setup(wandb.Settings(silent=True)).settings
    mode = known.mode if _mode_is_chosen(known) else "online" if _has_account(known.base_url) else "offline"
    if mode == "disabled":
        return None
    arguments = {name: value for name, value in ours.items() if getattr(known, USERS.get(name, ""), None) is None}
    if "WANDB_DIR" not in os.environ:
        arguments["dir"] = folder
    settings: dict[str, Any] = {"silent": True, "console": "off", "reinit": "create_new"}
    if not known.finish_timeout:
        settings["finish_timeout"] = FINISH_SECONDS
    if "WANDB_INIT_TIMEOUT" not in os.environ:
        settings["init_timeout"] = INIT_SECONDS
    try:
        return wandb.init(**arguments, settings=wandb.Settings(**settings, mode=mode))
    except Exception as error:
        if mode in ("offline", "dryrun"):
            raise
        warn(f"W&B cannot be reached ({one_line(error)}); the run is kept on disk, and `wandb sync` can send it later")
        wandb.teardown()  # the id is in use otherwise
        return wandb.init(**arguments, settings=wandb.Settings(**settings, mode="offline"))


def _mode_is_chosen(known: Any) -> bool:
    return bool(os.environ.get("WANDB_MODE")) or known.mode != "online"


def _has_account(base_url: str) -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        hosts = netrc.netrc().hosts
    except (OSError, netrc.NetrcParseError, RuntimeError):
        return False
    return any("wandb" in host or host == urlparse(base_url).hostname for host in hosts)


def last_iteration(run: Any) -> int:
    """The last iteration that a run already has: on the server, or offline in the parts on disk with the same id."""
    if not run.offline:
        return max(run.starting_step - 1, 0)
    folder = Path(run.settings.wandb_dir)
    paths = [path for path in folder.glob(f"*run-*/run-{run.id}.wandb") if path != Path(run.settings.sync_file)]
    return max((_mended(path).last_step for path in paths), default=0)


def _mended(path: Path) -> WandbFile:
    """A part that may be of a process that was killed, without its torn end: `wandb sync` would stop there, and send no
    later part. One without any record is removed."""
    part = read_wandb_file(path)
    if path.parent.is_symlink():  # "latest-run"
        return part
    if not part.size:
        shutil.rmtree(path.parent, ignore_errors=True)
    elif part.size < path.stat().st_size:
        os.truncate(path, part.size)
    return part


def keep_files(run: Any, files: Mapping[str, bytes]) -> None:
    """Make files a part of the run; they are sent with it."""
    for name, data in files.items():
        path = Path(run.dir) / name
        path.write_bytes(data)
        run.save(path, base_path=run.dir, policy="now")


def finish(run: Any, exit_code: int) -> None:
    """Finish a run. One that is kept on disk is complete there when this returns: wandb itself does not wait."""
    path, end = Path(run.settings.sync_file), time.monotonic() + FLUSH_SECONDS
    run.finish(exit_code=exit_code)
    while run.offline and read_wandb_file(path).exit_code is None and time.monotonic() < end:
        time.sleep(0.01)


def one_line(error: BaseException) -> str:
    """The first line of an exception's text, or its kind."""
    return next(iter(str(error).strip().splitlines()), "")[:160] or type(error).__name__


def warn(sentence: str) -> None:
    """Print one line of warning."""
    print(f"warning: {sentence}", file=sys.stderr)
