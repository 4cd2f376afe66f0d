#!/usr/bin/env python3
"""Holds the rules of the layout: who may include whom, what links what, how long a file may be, how it must open.

Usage: lint.py includes|sizes|style|layout SOURCE_DIR
       lint.py links SOURCE_DIR BIN_DIR
       lint.py threads SOURCE_DIR BUILD_DIR     (clang's -Wthread-safety over annotated files)
Prints each violation as file:line: rule, and exits with 1 when there is one.
"""
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "README.md", "proto", "coordinator", "worker", "model", "kernels",
             "sweeps", "deploy", "tests", ".ci", ".gitignore", ".clang-format"}

# folder -> folders whose headers it may include, besides its own
EDGES = {
    "proto/pipe": set(),
    "proto/config": set(),
    "proto/charts": set(),
    "sweeps": {"proto/config"},
    "coordinator/job": set(),
    "coordinator/store": {"coordinator/job"},
    "coordinator/core": {"coordinator/store", "coordinator/job", "proto/pipe", "proto/config"},
    "coordinator/service": {"coordinator/core", "coordinator/store", "coordinator/job", "sweeps", "proto/config", "sink/v1"},
    "coordinator": {"coordinator/service", "coordinator/core", "coordinator/store", "coordinator/job"},
    "coordinator/client": {"sink/v1"},
    "coordinator/report": {"proto/charts"},
    "coordinator/export": {"coordinator/report"},
    "coordinator/cli/print": set(),
    "coordinator/cli/base": {"coordinator/cli/print", "coordinator/client"},
    "coordinator/cli/files": {"coordinator/report", "coordinator/export", "sink/v1"},
    "coordinator/cli/views": {"coordinator/cli/base", "coordinator/cli/print", "coordinator/report", "sink/v1"},
    "coordinator/cli/study": {"coordinator/cli/views", "coordinator/cli/base", "coordinator/report", "sweeps", "proto/config",
                              "sink/v1"},
    "coordinator/cli": {"coordinator/cli/base", "coordinator/cli/print", "coordinator/cli/files", "coordinator/cli/views",
                        "coordinator/cli/study", "coordinator/client", "coordinator/report", "coordinator/export", "sweeps",
                        "proto/config", "sink/v1"},
    "worker": {"coordinator/client", "proto/pipe", "proto/config", "sink/v1"},
    "kernels": set(),
    "kernels/cuda": {"kernels"},
    "model/base": set(),
    "model/backend": {"model/base", "kernels"},
    "model/network": {"model/base", "model/backend", "kernels", "proto/config"},
    "model/storage": {"model/base", "model/network"},
    "model/open": {"model/base", "model/backend", "model/network", "model/storage", "kernels", "proto/config"},
    "model/data/tokenizer": {"model/base"},
    "model/data/corpus": {"model/base"},
    "model/data/packed": {"model/base", "model/data/corpus", "model/data/tokenizer"},
    "model/data/loader": {"model/base", "model/data/packed"},
    "model/data/commands": {"model/base", "model/data/tokenizer", "model/data/corpus", "model/data/packed",
                            "model/data/loader"},
    "model/data": {"model/base", "model/data/commands"},
    "model/eval": {"model/base", "model/backend", "model/network", "model/storage", "model/open", "model/data/tokenizer",
                   "model/data/corpus", "model/data/packed", "model/data/loader", "kernels", "proto/config", "proto/charts"},
    "model/train/link": {"model/base", "proto/pipe"},
    "model/train/ranks/nccl": set(),
    "model/train/ranks": {"model/train/ranks/nccl", "model/train/link"},
    "model/train/learning": {"model/base", "model/network", "model/train/ranks", "model/train/link", "proto/config"},
    "model/train/run": {"model/base", "model/backend", "model/network", "model/storage", "model/data/loader",
                        "model/train/learning", "model/train/ranks", "model/train/link", "proto/config"},
    "model/train/measure": {"model/base", "model/network", "model/eval", "model/data/loader", "model/train/run",
                            "model/train/learning", "model/train/link", "proto/config", "proto/pipe"},
    "model/train": {"model/base", "model/backend", "model/network", "model/data/loader", "model/train/measure",
                    "model/train/run", "model/train/learning", "model/train/ranks", "model/train/link"},
}
# libraries that a folder must not include
DATA = {folder for folder in EDGES if folder.startswith(("kernels", "model/"))}
TORCH_FREE = {"kernels", "kernels/cuda", "model/base"} | {folder for folder in EDGES if folder.startswith("model/data")}
FORBIDDEN = [
    ("control code sees Torch", lambda f: f not in DATA, r"^(torch|ATen|c10)/"),
    ("data code sees the control family", lambda f: f in DATA, r"^(absl|grpc|grpcpp|google/protobuf|sink/v1|sqlite3\.h|prometheus)"),
    ("this folder is free of Torch", lambda f: f in TORCH_FREE, r"^(torch|ATen|c10)/"),
    ("torch/torch.h takes 30 s to compile: include narrow headers", lambda f: True, r"^torch/torch\.h"),
    ("SQL stays in coordinator/store", lambda f: f != "coordinator/store", r"^sqlite3\.h"),
    ("neutral headers are standard library only", lambda f: f.startswith("proto/"), r"^(absl|grpc|torch|ATen)"),
]
LINKS = {  # binary -> pattern of libraries it must not need
    "sink-coordinator": r"libtorch|libc10|libcud|libnccl",
    "sink-worker": r"libtorch|libc10|libcud|libnccl|libsqlite",
    "sinkctl": r"libtorch|libc10|libcud|libnccl|libsqlite",
    "sink-trainer": r"grpc|protobuf|sqlite|absl|prometheus",
    "sink-eval": r"grpc|protobuf|sqlite|absl|prometheus",
    "sink-data": r"grpc|protobuf|sqlite|absl|prometheus|libtorch",
}

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
            control = folder.split("/")[0] in {"coordinator", "worker"} or folder == "sweeps"
            if control and re.search(r"\bthrow\b", code):
                problem(where, "control code does not throw")


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
    {"includes": includes, "sizes": sizes, "style": style, "layout": layout, "links": links,
     "threads": threads}[check](root, *(pathlib.Path(r).resolve() for r in rest))
    for line in problems:
        print(line)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
