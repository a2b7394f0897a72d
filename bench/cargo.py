"""Where cargo puts what it builds: CARGO_TARGET_DIR and configuration files may say elsewhere than target/."""

import functools
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


@functools.cache
def release(tree=ROOT, target=None):
    """The folder of release builds of the workspace in `tree`, if CARGO_TARGET_DIR were `target`."""
    environment = os.environ | ({"CARGO_TARGET_DIR": str(target)} if target else {})
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    found = subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.PIPE)
    return pathlib.Path(json.loads(found.stdout)["target_directory"]) / "release"
