"""Runs an engine: its last line of output, its wall time, its peak memory. Standard library only."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time

LIMIT_SECONDS = 3 * 3600


class Failed(Exception):
    """An engine that is missing or did not end well; the text is the end of what it said."""


def measured(command, threads):
    """Standard output of a command, and what it cost."""
    start, busy = time.perf_counter(), busy_seconds()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=errors, env=environment(threads),
                                       start_new_session=True)
        except OSError as error:
            raise Failed(str(error)) from error
        status, usage = wait(process)
        wall = time.perf_counter() - start
        others = (busy_seconds() - busy - usage.ru_utime - usage.ru_stime) / (wall * os.cpu_count())
        if status != 0:
            raise Failed(f"exit status {status}: {text(errors)[-1500:]}")
        return text(output), {"wall": round(wall, 4), "peak_mib": round(usage.ru_maxrss / 1024, 1),
                              "others": round(max(0.0, others), 3)}


def busy_seconds():
    """Processor seconds of all programs since the machine started, with those that its host took away.

    Less those of the engine, they are what others took: engines whose threads wait for each other lose far more than that share.
    """
    with open("/proc/stat", encoding="utf-8") as lines:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, lines.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait(process):
    """Exit status and resources of a process and all that it started; ended when it takes too long."""
    timer = threading.Timer(LIMIT_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage


def text(file):
    file.seek(0)
    return file.read().decode(errors="replace").strip()


def last_line(output):
    """The JSON object that an engine ends with."""
    try:
        return json.loads(output.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise Failed(f"no JSON in the last line of: {output[-500:]}") from error


def environment(threads):
    """Every engine gets the same number of threads, by whichever variable it reads, and no network."""
    pools = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
    return dict(os.environ, **pools, HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="")
