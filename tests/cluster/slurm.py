"""A Slurm of one node in a folder: partition `low`, whose jobs are requeued when those of `high` want their cores."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster.programs import find, free_ports

NEEDS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
CORES = 4  # of the node, whatever the machine has
PATIENCE = 600.0  # seconds: for machines that do much else
KILL_WAIT = 30  # seconds between SIGTERM and SIGKILL: Slurm's default
# cred_expire is also the time before a requeued job may start again: 2 min by default. The controller asks a node for
# its jobs every 20 * SlurmdTimeout / 3 seconds, half an hour by default: only then does it see that a job ended between
# its last save and its death.
CONF = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=10
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=30
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait={kill_wait}
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=64000 State=UNKNOWN
PartitionName=low Nodes={host} PriorityTier=1 Default=YES MaxTime=1000
PartitionName=high Nodes={host} PriorityTier=10 PreemptMode=OFF MaxTime=1000
"""


class Slurm:
    """The three daemons, and the commands that ask them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("state", "spool"):
            (folder / name).mkdir()
        self.conf = folder / "slurm.conf"
        host = os.uname().nodename.partition(".")[0]
        values = {"host": host, "ports": free_ports(2), "folder": folder, "cores": CORES, "kill_wait": KILL_WAIT}
        self.conf.write_text(CONF.format(**values))
        self._start_munge()
        self.start("slurmctld")
        self.start("slurmd")
        self.wait(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%t"), 30)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        paths = {"key-file": key, "socket": self.folder / "munge.sock", "seed-file": self.folder / "munge.seed"}
        paths |= {"pid-file": self.folder / "munged.pid", "log-file": self.folder / "munged.log"}
        options = [f"--{name}={path}" for name, path in paths.items()]
        subprocess.run([str(find("munged")), "--force", *options], check=True, capture_output=True)

    def start(self, daemon: str) -> None:
        """Start slurmctld or slurmd, which go to the background."""
        done = subprocess.run([str(find(daemon)), "-f", str(self.conf)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def wait_for_save(self, job: str) -> None:
        """Change a job, and wait until the controller has saved what it knows, which it does within five seconds."""
        before = time.time()
        self.ask("scontrol", "update", f"JobId={job}", "Comment=changed")
        self.wait(lambda: (self.folder / "state" / "job_state").stat().st_mtime > before, 30)

    def kill(self, daemon: str) -> None:
        """Kill a daemon, without a farewell."""
        self._end(daemon, signal.SIGKILL)

    def _end(self, daemon: str, number: signal.Signals) -> None:
        process = int((self.folder / f"{daemon}.pid").read_text())
        os.kill(process, number)
        self.wait(lambda: not Path(f"/proc/{process}").exists(), 10)

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which a user's commands reach it."""
        return {key: value for key, value in os.environ.items() if not key.startswith("SLURM")} | {
            "SLURM_CONF": str(self.conf)
        }

    def ask(self, program: str, *words: str) -> str:
        """What a command of Slurm prints."""
        done = subprocess.run([str(find(program)), *words], env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def jobs(self) -> dict[str, tuple[str, int]]:
        """Job -> its state and how many times it was requeued; those that have ended are listed for minutes."""
        found = {}
        for line in self.ask("scontrol", "-o", "show", "jobs").splitlines():
            values = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if "JobState" in values:
                task = values.get("ArrayTaskId", "")
                name = f"{values['ArrayJobId']}_{task}" if task else values["JobId"]
                found[name] = (values["JobState"], int(values["Restarts"]))
        return found

    def wait(self, is_so: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, f"not after {seconds} s; {self.log()}"
            time.sleep(0.2)

    def log(self) -> str:
        """The end of the controller's log."""
        with contextlib.suppress(OSError):
            return "\n".join((self.folder / "slurmctld.log").read_text().splitlines()[-30:])
        return ""

    def stop(self) -> None:
        """Cancel all jobs and stop the daemons."""
        with contextlib.suppress(AssertionError):
            self.ask("scancel", "--user", "root")
        time.sleep(1)
        for daemon in ("slurmctld", "slurmd", "munged"):
            with contextlib.suppress(OSError, ValueError, AssertionError):
                self._end(daemon, signal.SIGTERM)
