"""A PostgreSQL server in a folder, which can be stopped and started again."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from tests.cluster.programs import find

NEEDS = ("initdb", "pg_ctl", "psql")
PASSWORD = "correct-horse"
SETTINGS = "fsync = off\nlisten_addresses = '127.0.0.1'\nmax_connections = 30\n"


class Postgres:
    """The server, and a database `queue` whose owner is `lab` with a password."""

    def __init__(self, folder: Path, port: int) -> None:
        self.data, self.log, self.port = folder / "data", folder / "server.log", port
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        folder.mkdir()
        if os.getuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, self.user, self.user)
        self._run("initdb", "-D", str(self.data), "-U", "admin", "--auth-local=trust", "--auth-host=scram-sha-256")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}port = {port}\nunix_socket_directories = '{folder}'\n")
        self.start()
        sql = f"CREATE ROLE lab LOGIN PASSWORD '{PASSWORD}'"
        for command in (sql, "CREATE DATABASE queue OWNER lab"):
            self._run("psql", "-h", str(folder), "-p", str(port), "-U", "admin", "-d", "postgres", "-c", command)

    @property
    def url(self) -> str:
        """As a user writes it down, with the password."""
        return f"postgresql://lab:{PASSWORD}@127.0.0.1:{self.port}/queue"

    @property
    def address(self) -> str:
        """The same without the password."""
        return f"postgresql://lab@127.0.0.1:{self.port}/queue"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.log), "-w", "start")

    def stop(self) -> None:
        """Break all connections, and stop."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *words: str) -> None:
        as_user = ["runuser", "-u", self.user, "--"] if os.getuid() == 0 else []
        done = subprocess.run([*as_user, str(find(program)), *words], cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
