"""matryo and its rivals on the same tasks, alternating, into one record. Standard library only; run by run.sh."""

import argparse
import datetime
import json
import os
import pathlib
import tempfile

import cargo
import jobs
import machine
import process
import rivals
import table
import tasks

HERE = pathlib.Path(__file__).parent


def flags():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the interpreter that has the rivals")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=3, help="runs of each engine")
    parser.add_argument("--only", nargs="*", default=[], metavar="PREFIX", help="tasks whose names start so; see --list")
    parser.add_argument("--engines", nargs="*", default=[], metavar="PREFIX", help="engines whose names start so")
    parser.add_argument("--quick", action="store_true", help="next to nothing to do: to see whether it works")
    parser.add_argument("--list", action="store_true", help="print the names of tasks and engines")
    parser.add_argument("--record", type=pathlib.Path, help="where to write (default: bench/records/<date>.json); added to where it is there")
    return parser.parse_args()


def run_task(name, task, args, versions):
    """All engines in turn, as often as asked for; one that fails is noted and left out from then on."""
    engines = {engine: {"runs": []} for engine in task.engines if chosen(engine, args.engines)}
    with tempfile.TemporaryDirectory() as folder:
        job = jobs.Job(task, folder, args.threads)
        for turn in range(min(args.runs, task.max_runs)):
            for engine, entry in engines.items():
                if "failed" not in entry:
                    run_engine(name, job, engine, entry, args, versions)
                    print(f"{name} {turn + 1}/{args.runs} {engine}: {entry.get('failed') or entry['runs'][-1]}", flush=True)
        summarize(job, engines)
    return {"kind": task.kind, "model": task.model, "threads": job.threads, "settings": task.settings,
            "operations": job.operations, "engines": engines}


def run_engine(name, job, engine, entry, args, versions):
    try:
        command = rivals.command(engine, job.task.kind, job.flags_of(engine), args.python)
        if job.task.kind == "cold" and not entry["runs"]:
            process.measured(command, job.threads)  # what was read once lies in memory
        output, cost = process.measured(command, job.threads)
        said = {} if job.task.kind == "cold" else process.last_line(output)
        versions.update(said.get("versions", {}))
        entry["runs"].append(jobs.row(job.task, said, cost))
    except (process.Failed, KeyError, ValueError, ArithmeticError, OSError) as error:
        entry["failed"] = f"{type(error).__name__}: {error}"


def summarize(job, engines):
    reference = job.rows(rivals.REFERENCE)
    for engine, entry in engines.items():
        if entry["runs"]:
            entry["median"] = jobs.medians(entry["runs"])
        if "failed" not in entry:
            entry["accuracy"] = jobs.quality(job, engine, reference)


def roofline(args):
    seconds = "0.02" if args.quick else "0.3"
    try:
        return process.last_line(process.measured([cargo.release() / "examples" / "roofline", seconds], args.threads)[0])
    except process.Failed as error:
        return {"failed": str(error)}


def chosen(name, prefixes):
    return not prefixes or any(name.startswith(prefix) for prefix in prefixes)


def opened(target, fresh):
    """The record at `target` to go on with, else the fresh one; figures of two builds or machines are never mixed."""
    if not target.exists():
        return fresh
    there = json.loads(target.read_text(encoding="utf-8"))
    for key in ("commit", "machine", "threads", "quick"):
        if there[key] != fresh[key]:
            raise SystemExit(f"error: {target} was measured with another {key}: {there[key]}, now {fresh[key]}")
    return there


def write(record, target):
    """After every task: what is measured is not lost by what fails later."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def measure(names, everything, args, target, record):
    if chosen("roofline", args.only):
        record["roofline"] = roofline(args)
    for name in names:
        task = everything[name].quick() if args.quick else everything[name]
        record["tasks"][name] = run_task(name, task, args, record["versions"])
        write(record, target)
    write(record, target)


def main():
    args = flags()
    os.chdir(HERE.parent)
    everything = tasks.tasks(args.threads)
    names = [name for name in everything if chosen(name, args.only)]
    if args.list:
        return print("\n".join(f"{name}: {', '.join(everything[name].engines)}" for name in names))
    record = machine.record(args.threads, cargo.release() / "matryo") | {"quick": args.quick, "tasks": {}}
    now = datetime.datetime.fromisoformat(record["date"])
    target = (args.record or HERE / "records" / f"{now:%Y-%m-%d-%H%M}.json").resolve()
    record = opened(target, record)
    measure(names, everything, args, target, record)
    print(table.tables(record))
    print(f"written to {target}")


if __name__ == "__main__":
    main()
