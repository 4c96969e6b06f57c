"""A real Slurm on this machine, for tests: munge, a controller and one node, in a folder of their own."""

import os
import shutil
import signal
import socket
import subprocess
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from helpers import wait_until

PROGRAMS = "munged", "slurmctld", "slurmd", "squeue"
MISSING = [program for program in PROGRAMS if not shutil.which(program)] + (
    [] if find_spec("submitit") else ["submitit"]
)
NOT_HERE = "needs a Slurm to start, as root: `apt-get install slurm-wlm munge` and `pip install -e '.[slurm]'`"
CAN_START = not MISSING and hasattr(os, "geteuid") and os.geteuid() == 0

_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=3
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
MailProg=/bin/true
KillWait=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class SlurmServer:
    """The daemons; SLURM_CONF points to their configuration while they run."""

    def __init__(self, folder: Path):
        self.folder, self.host = folder, socket.gethostname().split(".")[0]
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        self.configuration = folder / "slurm.conf"
        ports = free_ports()
        self.configuration.write_text(_CONFIGURATION.format(host=self.host, folder=folder, ports=ports))

    def start(self) -> None:
        files = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed", "key-file": "key"}
        options = [f"--{option}={self.folder}/munge.{ending}" for option, ending in files.items()]
        run("munged", "--force", *options)
        self.start_controller()
        run("slurmd", "-f", self.configuration)
        wait_until(lambda: "idle" in run("sinfo", "--noheader", "--format=%T"), 60)

    def start_controller(self) -> None:
        run("slurmctld", "-f", self.configuration)
        wait_until(self.answers, 60)

    def answers(self) -> bool:
        found = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, check=False)
        return "is UP" in found.stdout

    def drain(self) -> None:
        run("scontrol", "update", f"nodename={self.host}", "state=drain", "reason=test")

    def resume(self) -> None:
        """End the drain, as soon as a controller that has just started knows of it."""
        wait_until(self._is_resumed, 60)

    def _is_resumed(self) -> bool:
        if "drain" in run("sinfo", "--noheader", "--format=%T"):
            update = ["scontrol", "update", f"nodename={self.host}", "state=resume"]
            return not subprocess.run(update, capture_output=True, check=False).returncode
        return "unk" not in run("sinfo", "--noheader", "--format=%T")

    def stop_controller(self) -> None:
        self._end("slurmctld")

    def kill_controller(self) -> None:
        self._end("slurmctld", signal.SIGKILL)

    def stop(self) -> None:
        with suppress(subprocess.CalledProcessError):
            run("scancel", "--me")
        for name in ("slurmd", "slurmctld", "munge"):
            self._end(name)

    def _end(self, name: str, how: int = signal.SIGTERM) -> None:
        """End the daemon of a pid file, and wait for it."""
        path = self.folder / f"{name}.pid"
        if not path.exists():
            return
        process = Path("/proc") / path.read_text().strip()
        with suppress(ProcessLookupError):
            os.kill(int(process.name), how)
        wait_until(lambda: not process.exists(), 30)


def free_ports() -> list[int]:
    """Two ports that no program uses."""
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (one, two)]


def run(*command) -> str:
    """What a command prints; CalledProcessError where it fails."""
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


@contextmanager
def started_slurm(folder: Path):
    """A SlurmServer within the block."""
    server = SlurmServer(folder)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(server.configuration)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before
