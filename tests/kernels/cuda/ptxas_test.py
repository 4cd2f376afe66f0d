#!/usr/bin/env python3
"""Holds what the compiler makes of the CUDA kernels: no spilled register and no local array in any of them, and tensor-core
instructions where they are meant. Needs nvcc but no GPU; exits with 77 (skipped) without.

Usage: ptxas_test.py SOURCE_DIR [NVCC [LIBRARY]]
Where LIBRARY, which a program loads, has been built, it must hold code for each architecture, and PTX for later ones. Compiles kernels/cuda/*.cu for each architecture (through ccache where there is one) and reads what `ptxas -v` says of each
kernel. cuobjdump, where found (SINK_CUOBJDUMP, PATH, beside nvcc, or where deploy/bootstrap.sh --tests puts it), shows the
instructions.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ARCHITECTURES = ("80", "90")
DEPS = pathlib.Path(os.environ.get("SINK_DEPS") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or
                                                                pathlib.Path.home() / ".cache") / "sink")
# Kernels whose bf16 form must multiply on tensor cores.
TENSOR_CORES = {"attention_forward.cu": ["ForwardKernel"], "attention_backward_queries.cu": ["QueryKernel"],
                "attention_backward_keys.cu": ["KeyKernel"], "attention_bias.cu": ["DiagonalKernel"], "attention_sums.cu": ["SumsKernel"]}


def find_nvcc(given):
    for candidate in (given, shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc"):
        if candidate and pathlib.Path(candidate).exists():
            return candidate
    return None


def find_cuobjdump(nvcc):
    beside = pathlib.Path(nvcc).resolve().parent / "cuobjdump"
    installed = sorted(DEPS.glob("cuobjdump-*/nvidia/*/bin/cuobjdump"))  # by deploy/bootstrap.sh --tests
    for candidate in (os.environ.get("SINK_CUOBJDUMP"), shutil.which("cuobjdump"), beside, *installed):
        if candidate and pathlib.Path(candidate).exists():
            return str(candidate)
    return None


def compile_kernels(nvcc, root, source, architecture, out):
    launcher = [shutil.which("ccache")] if shutil.which("ccache") else []
    target = out / f"{source.stem}.{architecture}.o"
    command = [*launcher, nvcc, "-std=c++17", f"-I{root}", "-O3", "-Xptxas", "-v",
               f"-gencode=arch=compute_{architecture},code=sm_{architecture}", "-c", str(source), "-o", str(target)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=root)
    return source, architecture, target, run


def resources(report):
    """Yields (kernel, stack frame, spill stores, spill loads) of each kernel that ptxas reports, in bytes."""
    name = "?"
    for line in report.splitlines():
        started = re.search(r"Compiling entry function '(\S+)'", line)
        name = started.group(1) if started else name
        found = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if found:
            yield (name, *map(int, found.groups()))


def tensor_core_problems(cuobjdump, source, architecture, target):
    beside = dict(os.environ, PATH=f"{pathlib.Path(cuobjdump).parent}{os.pathsep}{os.environ['PATH']}")  # nvdisasm
    sass = subprocess.run([cuobjdump, "--dump-sass", str(target)], capture_output=True, text=True, check=True,
                          env=beside).stdout
    functions = re.split(r"\n\s*Function : ", sass)[1:]
    for kernel in TENSOR_CORES.get(source.name, []):
        bf16 = [f for f in functions if kernel in f.split("\n")[0] and "8Bfloat16" in f.split("\n")[0]]
        if not bf16:
            yield f"{source.name} sm_{architecture}: no {kernel} in bf16"
        for function in bf16:
            if "HMMA.16816.F32.BF16" not in function or "LDSM" not in function:
                yield f"{source.name} sm_{architecture}: {function.split()[0]} has no HMMA or LDSM"


def library_problems(cuobjdump, library):
    code = {option: subprocess.run([cuobjdump, option, library], capture_output=True, text=True).stdout
            for option in ("--list-elf", "--list-ptx")}
    for option, architectures in (("--list-elf", ARCHITECTURES), ("--list-ptx", ARCHITECTURES[-1:])):
        for architecture in architectures:
            if f"sm_{architecture}." not in code[option]:
                yield f"{library}: {option} shows nothing for {architecture}"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    nvcc = find_nvcc(sys.argv[2] if len(sys.argv) > 2 else None)
    if not nvcc:
        print("skipped: no nvcc on this machine")
        sys.exit(77)
    cuobjdump = find_cuobjdump(nvcc)
    problems, kernels, matrix_kernels = [], 0, 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(compile_kernels, nvcc, root, source, architecture, pathlib.Path(folder))
                for source in sorted((root / "kernels/cuda").glob("*.cu")) for architecture in ARCHITECTURES]
        for job in jobs:
            source, architecture, target, run = job.result()
            where = f"{source.name} sm_{architecture}"
            if run.returncode != 0:
                problems.append(f"{where}: does not compile\n{run.stderr}")
                continue
            found = list(resources(run.stderr + run.stdout))
            kernels += len(found)
            if not found and "SINK_KERNEL" in source.read_text():
                problems.append(f"{where}: ptxas reported no kernel")
            for name, stack, stores, loads in found:
                if stack or stores or loads:
                    problems.append(f"{where}: {name} has a stack of {stack} bytes, spills {stores} and {loads}")
            if cuobjdump and source.name in TENSOR_CORES:
                problems += tensor_core_problems(cuobjdump, source, architecture, target)
                matrix_kernels += len(TENSOR_CORES[source.name])
    if cuobjdump and len(sys.argv) > 3 and pathlib.Path(sys.argv[3]).exists():
        problems += library_problems(cuobjdump, sys.argv[3])
    print(f"{kernels} kernels read; tensor cores "
          + (f"looked for in {matrix_kernels}" if cuobjdump else "not looked for: no cuobjdump on this machine"))
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
