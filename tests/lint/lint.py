#!/usr/bin/env python3
"""Holds the rules of the layout: who may include whom, what links what, how long a file may be, how it must open.

Usage: lint.py includes|sizes|style|layout|readme|seam SOURCE_DIR
       lint.py links SOURCE_DIR BIN_DIR
       lint.py threads SOURCE_DIR BUILD_DIR     (clang's -Wthread-safety over annotated files)
Prints each violation as file:line: rule, and exits with 1 when there is one.
"""
import itertools
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "README.md", "proto", "coordinator", "worker", "model", "kernels",
             "sweeps", "deploy", "tests", "findings", ".ci", ".gitignore", ".clang-format"}

# folder -> folders whose headers it may include, besides its own
EDGES = {
    "proto/base": set(),
    "proto/pipe": {"proto/base"},
    "proto/files": set(),
    "proto/config": {"proto/base", "proto/files"},
    "proto/run": {"proto/base", "proto/files", "proto/config"},
    "proto/charts": set(),
    "proto/args": set(),
    "sweeps": {"proto/base", "proto/config", "proto/pipe"},
    "coordinator/job": {"proto/base"},
    "coordinator/files": {"proto/files"},
    "coordinator/log": {"proto/args"},
    "coordinator/store": {"coordinator/job", "coordinator/files", "proto/files"},
    "coordinator/errors": {"sink/v1"},
    "coordinator/core": {"coordinator/store", "coordinator/job", "coordinator/errors", "proto/base", "proto/pipe",
                         "proto/config"},
    "coordinator/identity": {"coordinator/files", "coordinator/job", "proto/files"},
    "coordinator/backup": {"coordinator/store", "coordinator/job", "coordinator/files", "proto/files", "proto/run", "proto/args"},
    "coordinator/service": {"coordinator/core", "coordinator/identity", "coordinator/store", "coordinator/job", "coordinator/errors",
                            "coordinator/files", "coordinator/log", "sweeps", "proto/config", "proto/files", "proto/pipe", "proto/run", "sink/v1"},
    "coordinator/web": {"coordinator/service", "coordinator/core", "coordinator/job", "coordinator/files", "coordinator/report", "proto/base",
                        "proto/config", "proto/files", "proto/pipe", "sink/v1"},
    "coordinator": {"coordinator/web", "coordinator/service", "coordinator/log", "coordinator/identity", "coordinator/core", "coordinator/store", "coordinator/job",
                    "coordinator/files",
                    "proto/args", "proto/base", "proto/files"},
    "coordinator/client": {"coordinator/errors", "coordinator/files", "coordinator/identity", "proto/files", "sink/v1"},
    "coordinator/report": {"coordinator/job", "proto/base", "proto/charts", "proto/config", "proto/pipe"},
    "coordinator/export": {"coordinator/report", "coordinator/job"},
    # Of the store what has no SQLite: sink_store_check, by LINKS.
    "coordinator/doctor": {"coordinator/client", "coordinator/identity", "coordinator/job", "coordinator/store", "proto/base",
                           "proto/files", "proto/run", "sink/v1"},
    "coordinator/cli/print": set(),
    "coordinator/cli/base": {"coordinator/cli/print", "coordinator/client", "coordinator/identity", "coordinator/job", "proto/args"},
    "coordinator/cli/files": {"coordinator/report", "coordinator/export", "proto/files", "proto/run", "sink/v1"},
    "coordinator/cli/views": {"coordinator/cli/base", "coordinator/cli/print", "coordinator/report", "coordinator/job",
                              "proto/base", "proto/pipe", "sink/v1"},
    "coordinator/cli/study": {"coordinator/cli/views", "coordinator/cli/base", "coordinator/cli/print", "coordinator/job", "coordinator/report",
                              "sweeps", "proto/base", "proto/config", "proto/files", "sink/v1"},
    "coordinator/cli/top": {"coordinator/cli/base", "coordinator/cli/print", "coordinator/cli/views", "proto/base",
                            "sink/v1"},
    "coordinator/cli": {"coordinator/cli/base", "coordinator/cli/print", "coordinator/cli/files", "coordinator/cli/views",
                        "coordinator/cli/study", "coordinator/cli/top", "coordinator/client", "coordinator/doctor", "coordinator/report",
                        "coordinator/export",
                        "coordinator/identity", "coordinator/job", "sweeps", "proto/args", "proto/base", "proto/config",
                        "proto/files", "proto/pipe", "sink/v1"},
    "worker/protocol": {"coordinator/errors"},
    "worker": {"worker/protocol", "coordinator/client", "coordinator/errors", "coordinator/files", "coordinator/identity", "coordinator/job", "coordinator/log", "proto/args", "proto/base", "proto/pipe", "proto/config",
               "proto/files", "proto/run", "sink/v1"},
    "kernels": set(),
    "kernels/cuda": {"kernels"},
    "model/base": {"proto/files"},
    "model/backend": {"model/base", "kernels"},
    "model/backend/cuda": {"model/base", "model/backend", "kernels", "kernels/cuda"},
    "model/backend/cuda/cudnn": {"model/backend/cuda", "kernels/cuda"},
    "model/backend/cuda/no_library": {"model/backend/cuda"},
    "model/network": {"model/base", "model/backend", "kernels", "proto/config"},
    "model/storage": {"model/base", "model/network", "proto/config", "proto/files", "proto/run"},
    "model/open": {"model/base", "model/backend", "model/network", "model/storage", "kernels", "proto/config"},
    "model/data/tokenizer": {"model/base", "proto/base", "proto/files"},
    "model/data/corpus": {"model/base", "proto/files"},
    "model/data/packed": {"model/base", "model/data/corpus", "model/data/tokenizer", "proto/files", "proto/run"},
    "model/data/loader": {"model/base", "model/data/packed"},
    "model/data/commands": {"model/base", "model/data/tokenizer", "model/data/corpus", "model/data/packed",
                            "model/data/loader", "proto/args", "proto/files", "proto/run"},
    "model/data": {"model/base", "model/data/commands", "proto/args"},
    "model/eval": {"model/base", "model/backend", "model/network", "model/storage", "model/open", "model/data/tokenizer",
                   "model/data/corpus", "model/data/packed", "model/data/loader", "kernels", "proto/args", "proto/config", "proto/charts",
                   "proto/files"},
    "model/train/link": {"model/base", "proto/base", "proto/pipe"},
    "model/train/ranks/nccl": set(),
    "model/train/ranks": {"model/backend", "model/train/ranks/nccl", "model/train/link", "proto/files", "proto/pipe"},
    "model/train/learning": {"model/base", "model/backend", "model/network", "model/train/ranks", "model/train/link", "proto/config"},
    "model/train/run": {"model/base", "model/backend", "model/network", "model/storage", "model/data/loader",
                        "model/data/packed", "model/data/tokenizer", "model/train/learning", "model/train/ranks", "model/train/link", "proto/config", "proto/files",
                        "proto/run"},
    "model/train/measure": {"model/base", "model/backend", "model/network", "model/eval", "model/data/loader", "model/train/run",
                            "model/train/learning", "model/train/link", "proto/config", "proto/pipe"},
    "model/train": {"model/base", "model/backend", "model/network", "model/data/loader", "model/train/measure",
                    "model/train/run", "model/train/learning", "model/train/ranks", "model/train/link", "proto/args",
                    "proto/pipe"},
}
# libraries that a folder must not include
DATA = {folder for folder in EDGES if folder.startswith(("kernels", "model/"))}
TORCH_FREE = {"kernels", "kernels/cuda", "model/base"} | {folder for folder in EDGES if folder.startswith("model/data")}
FORBIDDEN = [
    ("control code sees Torch", lambda f: f not in DATA, r"^(torch|ATen|c10)/"),
    ("data code sees the control family", lambda f: f in DATA, r"^(absl|grpc|grpcpp|google/protobuf|sink/v1|sqlite3\.h|prometheus)"),
    ("this folder is free of Torch", lambda f: f in TORCH_FREE, r"^(torch|ATen|c10)/"),
    ("torch/torch.h takes 30 s to compile: include narrow headers", lambda f: True, r"^torch/torch\.h"),
    ("CLI11 takes 6 s to compile: use proto/args", lambda f: f != "proto/args", r"^CLI/"),
    ("SQL stays in coordinator/store", lambda f: f != "coordinator/store", r"^sqlite3\.h"),
    ("neutral headers are standard library only", lambda f: f.startswith("proto/"), r"^(absl|grpc|torch|ATen)"),
]
LINKS = {  # binary -> pattern of libraries it must not need
    "sink-coordinator": r"libtorch|libc10|libcud|libnccl",
    "sink-backup": r"libtorch|libc10|libcud|libnccl|grpc",
    "sink-worker": r"libtorch|libc10|libcud|libnccl|libsqlite",
    "sinkctl": r"libtorch|libc10|libcud|libnccl|libsqlite",
    "sink-trainer": r"grpc|protobuf|sqlite|absl|prometheus",
    "sink-eval": r"grpc|protobuf|sqlite|absl|prometheus",
    "sink-data": r"grpc|protobuf|sqlite|absl|prometheus|libtorch",
}

# Ways to decide by the text of an error. A reason that a caller needs belongs into coordinator/errors, beside the text.
ERROR_TEXT = r"(?:message|error_message|ToString|what)\(\)"
MATCHES_ERROR_TEXT = re.compile(
    # StrContains(status.message(), ...), and the other searches of absl
    r"(?:StrContains|StrContainsIgnoreCase|StartsWith|StartsWithIgnoreCase|EndsWith|EndsWithIgnoreCase|EqualsIgnoreCase|"
    r"ConsumePrefix|ConsumeSuffix|strstr|regex_search|regex_match)\s*\([^;]*?" + ERROR_TEXT +
    # status.message().find(...), also through a string made of it
    r"|" + ERROR_TEXT + r"[)}]*\s*\.\s*(?:find|rfind|find_first_of|starts_with|ends_with|contains|compare|substr)\s*\("
    # status.message() == "..."
    r"|" + ERROR_TEXT + r"\s*[!=]=|[!=]=\s*[\w.>()*-]*" + ERROR_TEXT)

problems = []


def problem(where, text):
    problems.append(f"{where}: {text}")


def sources(root, tests=False):
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.suffix not in {".h", ".cc", ".cu", ".cuh"} or parts[0] in {"build", "sink-data"} or parts[0].startswith("."):
            continue
        if (parts[0] == "tests") == tests:
            yield path


def includes(root):
    for path in sources(root):
        folder = str(path.parent.relative_to(root))
        if folder not in EDGES:
            problem(path.relative_to(root), "this folder is not in the layout (tests/lint/lint.py: EDGES)")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
            if not match:
                continue
            target, where = match.group(1), f"{path.relative_to(root)}:{number}"
            for rule, applies, pattern in FORBIDDEN:
                if applies(folder) and re.search(pattern, target):
                    problem(where, f"{rule} ({target})")
            if (root / target).exists():
                other = str(pathlib.PurePath(target).parent)
                if other != folder and other not in EDGES[folder]:
                    problem(where, f"{folder} must not depend on {other} ({target})")
            elif target.startswith("sink/v1/") and "sink/v1" not in EDGES[folder]:
                problem(where, f"{folder} must not see the wire messages ({target})")


def sizes(root):
    counts = []
    for path in sources(root):
        lines = len(path.read_text().splitlines())
        name = path.relative_to(root)
        counts.append(lines)
        limit = 80 if path.name == "main.cc" else 250 if path.suffix in {".h", ".cuh"} else 800
        if lines > limit:
            problem(name, f"{lines} lines; at most {limit}")
    for path in sources(root, tests=True):
        lines = len(path.read_text().splitlines())
        if lines > 1000:
            problem(path.relative_to(root), f"{lines} lines; at most 1000 for a test")
    median = statistics.median(counts)
    p95 = sorted(counts)[int(0.95 * (len(counts) - 1))]
    print(f"{len(counts)} source files: median {median} lines, p95 {p95}, longest {max(counts)}")
    if median > 150:
        problem("sources", f"median {median} lines; at most 150")
    if p95 > 500:
        problem("sources", f"p95 {p95} lines; at most 500")
    if len((root / "CMakeLists.txt").read_text().splitlines()) > 150:
        problem("CMakeLists.txt", "over 150 lines")


def style(root):
    for path in list(sources(root)) + list(sources(root, tests=True)):
        name, text = path.relative_to(root), path.read_text()
        folder = str(path.parent.relative_to(root))
        lines = text.splitlines()
        header = path.suffix in {".h", ".cuh"}
        control = folder.split("/")[0] in {"coordinator", "worker"} or folder == "sweeps"
        beside = path.with_suffix(".h").exists()
        if not text.endswith("\n"):
            problem(name, "no newline at the end")
        if (header or not beside) and not (lines and lines[0].startswith("//")):
            problem(name, "must open with a comment that says what it is for (or have a header that does)")
        if header and "#pragma once" not in text:
            problem(name, "no #pragma once")
        for number, line in enumerate(lines, 1):
            where = f"{name}:{number}"
            code = re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0])
            if len(line) > 120:
                problem(where, "over 120 columns")
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                problem(where, "no TODOs")
            if control and re.search(r"\bthrow\b", code):
                problem(where, "control code does not throw")
            if control and re.search(r"\w+With(Timeout|Deadline)\s*\(", code):
                problem(where, "a clock that is set back lengthens this wait (coordinator/job/timed_wait.h)")
        if control:
            code = re.sub(r"//[^\n]*", "", text)
            for match in MATCHES_ERROR_TEXT.finditer(code):
                problem(f"{name}:{code.count(chr(10), 0, match.start()) + 1}",
                        "control code does not decide by an error's text (coordinator/errors carries reasons)")


# The backend seam: which kernel runs is looked up by device and type in model/backend, never decided where it is used.
# Checks that ids are integers are no choice of a path.
FLOATING = r"(at::|c10::|torch::)?k(Float|Double|Half|BFloat16|Float16|Float32|Float64)\b"
SEAM = [
    ("the device chooses the path here",
     r"\bis_(cpu|cuda|privateuseone)\s*\(|[=!]=\s*(at::|c10::)?(k(CPU|CUDA)\b|DeviceType::)"),
    ("the type chooses the path here", rf"[=!]=\s*{FLOATING}|\b{FLOATING}\s*[=!]="),
]


def seam(root):
    for path in sources(root):
        name = path.relative_to(root)
        if name.parts[0] != "model" or name.parts[1] == "backend" or path.suffix != ".cc":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0])
            for rule, pattern in SEAM:
                if re.search(pattern, code):
                    problem(f"{name}:{number}", f"{rule}; ask model/backend for the kernel")


SOURCE_NAME = r"\.(h|cc|cu|cuh|py|sh|proto|yaml|yml|md|cmake|sbatch)$"


def expand(word):
    """`a/{b,c}.h` as a/b.h and a/c.h."""
    parts = re.split(r"\{([^{}]*)\}", word)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


class Tree:
    """The files of the project, and what a README may call them."""

    def __init__(self, root):
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"],
                                capture_output=True, text=True)
        files = listed.stdout.splitlines()
        if listed.returncode != 0:  # an archive
            files = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
        self.files = {name for name in files if (root / name).exists() and not name.startswith("build/")}
        self.folders = {str(folder) for name in self.files for folder in pathlib.PurePath(name).parents} - {"."}

    def has(self, path):
        pattern = path.rstrip("/")
        if "*" in pattern:
            return any(pathlib.PurePath(name).match(pattern) for name in self.files | self.folders)
        return pattern in self.folders or (not path.endswith("/") and pattern in self.files)

    def knows(self, word, beside):
        """True for a path from the root or from the folder `beside`, and for the end of a file's path."""
        if self.has(word) or self.has(f"{beside}/{word}"):
            return True
        return any(name.endswith("/" + word) for name in (self.files | self.folders if "/" in word else self.files))


def readme(root):
    tree = Tree(root)
    top = {name.split("/")[0] for name in tree.folders} | (TOP_LEVEL - {n for n in TOP_LEVEL if "." in n})
    for name in sorted(f for f in tree.files if pathlib.PurePath(f).name == "README.md"):
        beside = str(pathlib.PurePath(name).parent)
        for number, line in enumerate((root / name).read_text().splitlines(), 1):
            where = f"{name}:{number}"
            quoted = [w for text in re.findall(r"`([^`]+)`", line) for w in text.split()]
            plain = re.findall(r"(?<![\w/.~$-])(?:%s)/[\w./-]*\w" % "|".join(sorted(top)), line)
            for word in dict.fromkeys(quoted + plain):
                for path in expand(word.strip(",.:;()")):
                    placeholder = re.search(r"[^\w./*-]", path) or re.search(r"\b(?!README\b)[A-Z][A-Z_]+\b", path)
                    is_path = (re.search(SOURCE_NAME, path) or path.split("/")[0] in top and "/" in path)
                    if is_path and not placeholder and not tree.knows(path, beside):
                        problem(where, f"{path} is not in the tree")
            for identifier, path in re.findall(r"`(\w+)`(?:\(\))? in `([^`]+)`", line):
                if path in tree.files and not re.search(rf"\b{identifier}\b", (root / path).read_text()):
                    problem(where, f"{path} does not know {identifier}")
    map_covers_the_folders(root, tree)
    notation_has_the_letters(root)


def map_covers_the_folders(root, tree):
    """A row of the map is a folder, in its first cell, and what is said of it, with the folders inside it by name."""
    section = re.search(r"^## Map\n(.*?)^## ", (root / "README.md").read_text(), re.M | re.S)
    rows = re.findall(r"^\| `([\w./-]+)/` \|(.*?)\|", section.group(1), re.M) if section else []
    covered = set()
    for folder, text in rows:
        covered |= {folder} | {f"{folder}/{inside}" for inside in re.findall(r"`([\w./-]+)/`", text)}
    for folder in sorted(covered):
        if not tree.has(folder + "/"):
            problem("README.md", f"the map shows {folder}/, which is not in the tree")
    for folder in sorted((set(EDGES) | {f for f in tree.folders if "/" not in f and not f.startswith(".")}) - covered):
        problem("README.md", f"the map does not show {folder}/")


def notation_has_the_letters(root):
    """The dimensions at the end of a tensor's name, x_BTC, are letters of the table in model/README.md."""
    rows = re.findall(r"^\| ((?:[A-Z], )*[A-Z]) \|", (root / "model/README.md").read_text(), re.M)
    letters = {letter for row in rows for letter in row.split(", ")}
    for path in sources(root):
        name = path.relative_to(root)
        if path.suffix not in {".h", ".cuh"} or name.parts[0] not in {"model", "kernels"}:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for tensor, dimensions in re.findall(r"\b([a-z][a-z0-9_]*_([A-Z][A-Z0-9]{0,5}))\b", line):
                unknown = set(re.sub(r"[0-9]", "", dimensions)) - letters
                if unknown:
                    problem(f"{name}:{number}", f"{tensor}: model/README.md does not say what {min(unknown)} is")


def layout(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-tree", "--name-only", "HEAD"], capture_output=True, text=True)
    entries = listed.stdout.split() if listed.returncode == 0 else [p.name for p in root.iterdir() if p.name != "build"]
    for name in entries:
        if name not in TOP_LEVEL and name != ".git":
            problem(name, "the top level is fixed (tests/lint/lint.py: TOP_LEVEL)")


def links(root, bin_dir):
    for binary, pattern in LINKS.items():
        path = bin_dir / binary
        if not path.exists():
            if binary in {"sink-trainer", "sink-eval"}:
                print(f"{binary}: not built here (control preset), not checked")
            else:
                problem(binary, f"not found in {bin_dir}")
            continue
        listing = subprocess.run(["readelf", "-d", str(path)], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"\(NEEDED\).*\[(.+)\]", listing):
            if re.search(pattern, library):
                problem(binary, f"must not link {library}")


def threads(root, build_dir):
    clang = shutil.which("clang++")
    if not clang:
        print("skipped: no clang++ on this machine (thread-safety analysis is clang's)")
        return
    commands = json.loads((build_dir / "compile_commands.json").read_text())
    checked = 0
    for command in commands:
        path = pathlib.Path(command["file"])
        if root not in path.parents or "tests" in path.parts or str(build_dir) in str(path):
            continue
        beside = path.with_suffix(".h")
        text = path.read_text() + (beside.read_text() if beside.exists() else "")
        if "ABSL_GUARDED_BY" not in text:
            continue
        flags = [w for w in command["command"].split() if w.startswith(("-I", "-D", "-std"))]
        system = re.findall(r"-isystem (\S+)", command["command"])
        result = subprocess.run([clang, "-fsyntax-only", "-Wthread-safety", "-Werror=thread-safety", *flags,
                                 *(x for s in system for x in ("-isystem", s)), str(path)], capture_output=True, text=True)
        checked += 1
        for line in result.stderr.splitlines():
            if ": error:" in line:
                problem(line.replace(str(root) + "/", ""), "thread safety")
    print(f"{checked} files with annotations analysed")


def main():
    check, root, *rest = sys.argv[1:]
    root = pathlib.Path(root).resolve()
    {"includes": includes, "sizes": sizes, "style": style, "layout": layout, "readme": readme, "seam": seam,
     "links": links, "threads": threads}[check](root, *(pathlib.Path(r).resolve() for r in rest))
    for line in problems:
        print(line)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
