"""W&B mirrors a run; the record stays the truth. Offline unless the user has an account; absent where wandb is."""

import importlib.util
import netrc
import os
from pathlib import Path
from typing import Any

PROJECT = "eprop-repro"


def mode() -> str:
    """The value of WANDB_MODE, else "online" with an account and "offline" without; "disabled" without wandb."""
    if importlib.util.find_spec("wandb") is None:
        return "disabled"
    chosen = os.environ.get("WANDB_MODE")
    return chosen or ("online" if _has_account() else "offline")


def _has_account() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        hosts = netrc.netrc().hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return any("wandb" in host for host in hosts)


def logger(folder: Path, figure: str, task: str, variant: str, profile: str, seed: int, config: dict[str, Any]) -> Any:
    """A WandbLogger for one run, grouped by figure, task, variant and profile; None when W&B is disabled."""
    chosen: Any = mode()
    if chosen == "disabled":
        return None
    import wandb
    from pytorch_lightning.loggers import WandbLogger

    os.environ.setdefault("WANDB_DATA_DIR", str(folder))  # else artifacts are staged in the home directory
    run = wandb.init(  # here, since WandbLogger would pass on an option that W&B warns of
        project=PROJECT,
        group=f"{figure}/{task}/{variant}/{profile}",
        name=f"{variant}-seed-{seed}",
        dir=folder,
        config=config,
        tags=[figure, task, variant, profile],
        settings=wandb.Settings(silent=True, console="off", mode=chosen),
    )
    return WandbLogger(experiment=run)
