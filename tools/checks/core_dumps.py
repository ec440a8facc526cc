"""Can photos get into a core dump?"""

from __future__ import annotations

import time

from tools.checks.finding import Check, Device, Finding, to_mend, well
from tools.processes import Process, daemons

_LIMIT = "Max core file size"
_NONE = ["0", "0"]
_BEGINS_S = 0.3


def _look(device: Device) -> Finding:
    pattern = (device.root / "proc/sys/kernel/core_pattern").read_text("utf-8").strip()
    daemon = daemons()
    # gunicorn's master holds neither keys nor photos; its children do.
    masters = {process.folder.name for process in daemon}
    workers = [process for process in daemon if process.parent in masters]
    dumping = [process.folder.name for process in workers if _dumps(process)]
    evidence = {"core_pattern": pattern, "workers": [process.folder.name for process in workers]}
    if dumping:
        return to_mend(
            f"process {dumping[0]} of the daemon may leave its memory in a core dump",
            f"prlimit --core=0:0 --pid {dumping[0]}",
            **evidence,
        )
    if not workers:
        return well("no worker of the daemon is seen; one that starts forbids core dumps for itself", **evidence)
    return well("the daemon's worker leaves no core dump", **evidence)


def _dumps(process: Process) -> bool:
    """Whether it may; a worker that has just begun is given the time to forbid it itself."""
    if _limit(process) in (_NONE, []):
        return False
    time.sleep(_BEGINS_S)
    return _limit(process) not in (_NONE, [])


def _limit(process: Process) -> list[str]:
    """The soft and the hard limit. Source: proc_pid_limits(5)."""
    return process.told("limits").partition(_LIMIT)[2].split()[:2]


CHECK = Check("core_dumps", "Can photos get into a core dump?", _look)
