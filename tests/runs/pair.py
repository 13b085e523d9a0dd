"""Two processes that train together."""

import os
import socket
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path


def train_together(processes: ForkServerContext, share: Callable[[int, int, Path], None], folder: Path) -> None:
    """Run `share` (rank, port, folder) in both, and see that they end well."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    both = [processes.Process(target=share, args=(rank, port, folder)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(500)
        if process.is_alive():
            process.kill()
    assert [process.exitcode for process in both] == [0, 0]


def meet(rank: int, port: int) -> None:
    """Tell Lightning where the other process is."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), LOCAL_RANK=str(rank), NODE_RANK="0")
    os.environ.update(GLOO_SOCKET_IFNAME="lo")
