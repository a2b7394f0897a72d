"""Runs an engine: its last line of output, its wall time, its peak memory. Standard library only."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time

LIMIT_SECONDS = 3 * 3600
# Seconds that a command runs before the other's turn: short against the time in which a shared machine changes its speed.
TURN_SECONDS = 0.1


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


def in_turns(commands, threads):
    """What each of two commands cost that ran in turns of TURN_SECONDS, the longer one alone at the end.

    `active` are the seconds in which a command was not stopped: what slows the machine down for longer than a turn slows both.
    """
    start, busy = time.perf_counter(), busy_seconds()
    runs = [Turns(command, threads) for command in commands]
    try:
        while any(run.usage is None for run in runs):
            for run in runs:
                run.turn()
    finally:
        for run in runs:
            run.end()
    wall = time.perf_counter() - start
    mine = sum(run.usage.ru_utime + run.usage.ru_stime for run in runs)
    others = max(0.0, (busy_seconds() - busy - mine) / (wall * os.cpu_count()))
    return [{"active": round(run.active, 4), "peak_mib": round(run.usage.ru_maxrss / 1024, 1), "others": round(others, 3)}
            for run in runs]


class Turns:
    """A command that is stopped between its turns, with all that it started."""

    def __init__(self, command, threads):
        self.active, self.usage = 0.0, None
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=self.errors,
                                        env=environment(threads), start_new_session=True)
        os.killpg(self.process.pid, signal.SIGSTOP)

    def turn(self):
        if self.usage is not None:
            return
        start = time.perf_counter()
        os.killpg(self.process.pid, signal.SIGCONT)
        status = None
        while status is None and time.perf_counter() - start < TURN_SECONDS:
            time.sleep(TURN_SECONDS / 50)
            status = self.ended()
        if status is None:
            os.killpg(self.process.pid, signal.SIGSTOP)
        self.active += time.perf_counter() - start
        if status:
            raise Failed(f"exit status {status}: {text(self.errors)[-1500:]}")

    def ended(self):
        """The exit status, None while it runs."""
        pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.usage = usage
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode

    def end(self):
        if self.usage is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.errors.close()


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
