"""The files of a submission: a sweep file, its profiles, and the bases that they name, as the coordinator reads them."""
import json
import os
import pathlib

import yaml

from sink_client.errors import CoordinatorError

MAX_FILES, MAX_FILE_BYTES = 8, 256 << 10  # in a chain of bases, and of each of them; the coordinator's bounds


def profile_path(entry, profile):
    """A profile is a path, or the name of profiles/NAME.yaml beside the sweep file."""
    if "/" in profile or profile.endswith(".yaml"):
        return profile
    return str(pathlib.Path(entry).parent / "profiles" / f"{profile}.yaml")


def _read(path):
    text = pathlib.Path(path).read_bytes()
    if len(text) > MAX_FILE_BYTES:
        raise CoordinatorError("INVALID_ARGUMENT",
                               f"{path}: the file has {len(text)} bytes; at most {MAX_FILE_BYTES} (256 KiB)")
    return text.decode("utf-8")


def collect(entry, profiles):
    """path -> text. What is wrong inside of a file is the coordinator's to say: it names file, line and column."""
    texts = {}
    for path in (entry, *profiles):
        for _ in range(MAX_FILES):
            if path in texts:
                break
            texts[path] = _read(path)
            base = _base(texts[path])
            if base is None:
                break
            path = os.path.normpath(os.path.join(os.path.dirname(path), base))
    return texts


def profiles_of(changes):
    """path -> text of a profile for each change of a key, which is written with dots. JSON is YAML, too."""
    texts = {}
    for key, value in changes.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        texts[f"changes[{key}]"] = json.dumps(value)
    return texts


def _base(text):
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    base = document.get("base") if isinstance(document, dict) else None
    return base if isinstance(base, str) and base else None
