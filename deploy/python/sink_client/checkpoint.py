"""Writes a checkpoint that arrives in pieces as a folder: whole and with every hash right, or not at all."""
import os
import pathlib
import re
import shutil
import stat
import tempfile

import xxhash

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def write(chunks, out):
    """`chunks` are CheckpointChunk messages; `out` a folder that does not exist yet. Returns its description."""
    out = pathlib.Path(out)
    if out.exists():
        raise FileExistsError(f"{out} exists; choose another folder, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = pathlib.Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        description = _receive(chunks, staging)
        os.chmod(staging, _usual_mode(staging))
        staging.rename(out)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return description


def _receive(chunks, folder):
    description, sizes, hashes = None, {}, {}
    for chunk in chunks:
        if description is None:
            description = chunk.checkpoint
            for file in description.files:
                if not FILE_NAME.fullmatch(file.name) or file.name in sizes:
                    raise ValueError(f"the coordinator describes a file of the checkpoint as {file.name!r}")
                sizes[file.name], hashes[file.name] = 0, xxhash.xxh3_128()
                (folder / file.name).touch()
        if not chunk.file:
            continue
        if chunk.file not in sizes or chunk.offset != sizes[chunk.file]:
            raise ValueError(f"the pieces of {chunk.file!r} arrived out of order")
        with open(folder / chunk.file, "ab") as file:
            file.write(chunk.data)
        sizes[chunk.file] += len(chunk.data)
        hashes[chunk.file].update(chunk.data)
    if description is None or not sizes:
        raise ValueError("the coordinator sent no checkpoint")
    for file in description.files:
        if sizes[file.name] != file.size or hashes[file.name].hexdigest() != file.xxh3:
            raise ValueError(f"{file.name} arrived damaged: its size or hash differs")
    return description


def _usual_mode(folder):
    """Of a folder that is made in the usual way. To ask for the umask is to set it, also for what other threads make."""
    probe = folder / ".mode"
    probe.mkdir()
    mode = stat.S_IMODE(probe.stat().st_mode)
    probe.rmdir()
    return mode
