"""The two sides of against.py: commits and their binaries, built unless given. Standard library only."""

import dataclasses
import os
import pathlib
import subprocess

import cargo
import machine
import process

BUILD = ["cargo", "build", "--release", "--locked"]


@dataclasses.dataclass(frozen=True)
class Side:
    """One commit and its binaries; `encode` is None where no part needs it."""

    name: str
    commit: str
    matryo: pathlib.Path
    encode: pathlib.Path | None


@dataclasses.dataclass(frozen=True)
class Sides:
    base: Side
    new: Side

    def __iter__(self):
        return iter((self.base, self.new))


def sides(args, cache):
    commit = output("git", "rev-parse", "--verify", f"{args.base}^{{commit}}")
    needs_encode = "timings" in args.only

    def base_tree():
        tree = worktree(commit, cache / commit)
        # A folder of its own: a shared one would mix the artifacts of both trees.
        return tree, tree / "target"

    base = binaries(args.base_bin, args.base_encode, needs_encode, base_tree)
    new = binaries(args.new_bin, args.new_encode, needs_encode, lambda: (cargo.ROOT, None))
    return Sides(Side("base", commit, *base), Side("new", machine.commit(), *new))


def binaries(matryo, encode, needs_encode, tree_of):
    """The paths that were given, and the others from a build of the tree."""
    if matryo and (encode or not needs_encode):
        missing = [str(path) for path in (matryo, encode) if path and not path.is_file()]
        if missing:
            raise process.Failed(f"no such file: {', '.join(missing)}")
        return matryo, encode
    programs = [] if matryo else ["matryo"]
    examples = ["bench_encode"] if needs_encode and not encode else []
    built = build(*tree_of(), programs, examples)
    return matryo or built["matryo"], encode or built.get("bench_encode")


def worktree(commit, path):
    """A checkout of the commit at `path`, made or reused."""
    if not path.exists():
        # --force: the folder may have been removed without telling git.
        subprocess.run(["git", "worktree", "add", "--force", "--detach", path, commit], check=True)
    if output("git", "-C", path, "rev-parse", "HEAD") != commit:
        raise process.Failed(f"{path} is not at {commit}: remove it")
    if output("git", "-C", path, "status", "--porcelain", "--untracked-files=no"):
        raise process.Failed(f"{path} has changed files: remove it")
    return path


def build(tree, target, programs, examples):
    """Paths by name. `target` overrides the target folder that cargo would take."""
    environment = dict(os.environ)
    if target:
        environment["CARGO_TARGET_DIR"] = str(target)
    print(f"build in {tree}", flush=True)
    # One cargo call each, as users build them: together, features of both would be united.
    if programs:
        subprocess.run([*BUILD, "-p", "matryo-cli"], cwd=tree, env=environment, check=True)
    if examples:
        command = [*BUILD, "-p", "matryo", "--example", *examples]
        subprocess.run(command, cwd=tree, env=environment, check=True)
    release = cargo.release(tree, target)
    return {name: release / name for name in programs} | {
        name: release / "examples" / name for name in examples
    }


def output(*command):
    found = subprocess.run(command, cwd=cargo.ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return found.stdout.strip()
