"""What a record says of the machine and of the versions. Standard library only."""

import datetime
import os
import pathlib
import platform
import subprocess

FLAGS = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx512f", "avx_vnni", "avx2")


def cpuinfo(name):
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def machine():
    flags = set(cpuinfo("flags").split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": cpuinfo("model name") or platform.processor(),
        "cpu_flags": {flag: flag in flags for flag in FLAGS},
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": platform.platform(),
    }


def record(threads, matryo):
    """The beginning of every record."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "date": now.isoformat(timespec="seconds"), "commit": commit(), "machine": machine(), "threads": threads,
        "versions": versions(matryo),
    }


def said(*command):
    """First line that a command prints; empty if there is no such command."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return ""


def commit():
    return said("git", "describe", "--always", "--dirty")


def versions(matryo):
    return {"matryo": said(matryo, "--version"), "rustc": said("rustc", "--version"), "candle": locked("candle-core"),
            "python": platform.python_version()}


def locked(package):
    """The version that candle's project builds: the library does not tell its own."""
    lines = (pathlib.Path(__file__).parent / "engines" / "candle" / "Cargo.lock").read_text(encoding="utf-8").splitlines()
    return lines[lines.index(f'name = "{package}"') + 1].split('"')[1]
