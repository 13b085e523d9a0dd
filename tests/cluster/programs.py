"""Programs that a cluster needs: where they are, what is missing, free ports."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def find(name: str) -> str | None:
    """The path of a program; Debian keeps those of PostgreSQL in a folder of their version."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([PLACES, *map(str, versions)]))


def missing(*names: str) -> str:
    """Which of these programs are not installed, as a sentence; "" where all are."""
    absent = [name for name in names if find(name) is None]
    return (
        f"not installed: {', '.join(absent)} (as root on Debian, `make test-cluster` installs them)" if absent else ""
    )


def free_ports(number: int) -> list[int]:
    """Ports that nothing listens at."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder for one test session that other users may enter: servers run as users of their own."""
    with tempfile.TemporaryDirectory(prefix="cluster-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def processes(*variables: str) -> dict[int, str]:
    """The processes of `repro` with these variables in their environment: number -> command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has just ended
        if "-m repro" in command and set(variables) <= set(environment):
            found[int(folder.name)] = command
    return found
