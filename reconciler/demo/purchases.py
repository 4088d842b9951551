"""The demo's purchases: CDNOW's first 18 months of 23,570 people, as the `lifetimes` distribution carries them.

Fader and Hardie, "Forecasting repeat sales at CDNOW" (https://www.brucehardie.com/notes/026/). Only the file is taken
out of the distribution; nothing of it is imported.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from reconciler.errors import SourceError
from reconciler.state.durable import private_folder, replacing

DISTRIBUTION = "lifetimes==0.11.3"
MEMBER = "lifetimes/datasets/CDNOW_master.txt"
SHA256 = "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef"


def fetch(cache: Path) -> Path:
    """The purchases file in the folder `cache`, taken from the package index on the first call.

    SourceError when there is no pip, no network, or the file is not the one expected.
    """
    path = cache / "CDNOW_master.txt"
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == SHA256:
        return path
    text = _downloaded()
    found = hashlib.sha256(text).hexdigest()
    if found != SHA256:
        raise SourceError("the purchases are not the ones expected", why=f"sha256 is {found}, not {SHA256}")
    try:
        private_folder(cache)
        with replacing(path, name="purchases") as file:
            file.write(text)
    except OSError as error:
        raise SourceError(f"the purchases could not be kept in {cache}", why=error.strerror or str(error)) from error
    return path


def _downloaded() -> bytes:
    with tempfile.TemporaryDirectory(prefix="batchctl-demo-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--dest", folder, DISTRIBUTION]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            lines = done.stderr.strip().splitlines() or ["pip says nothing"]
            raise SourceError(
                f"the demo's purchases ({DISTRIBUTION}) could not be downloaded",
                why=lines[-1],
                fix="the first demo needs pip and a package index; later ones use the cached file",
            )
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                return wheel.read(MEMBER)
        except (zipfile.BadZipFile, KeyError) as error:
            raise SourceError(f"{DISTRIBUTION} does not hold {MEMBER}", why=str(error)) from error
