"""Makes the messages and stubs of proto/sink/v1 as a part of the package, so that they are never older than the protocol."""
import pathlib
import sys

import setuptools
from setuptools.command.build_py import build_py

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


class BuildWithStubs(build_py):
    def run(self):
        super().run()
        from grpc_tools import protoc
        out = pathlib.Path(self.build_lib) / "sink_client" / "generated"
        out.mkdir(parents=True, exist_ok=True)
        files = [str(PROTO / "sink/v1" / name) for name in ("job.proto", "client.proto")]
        if protoc.main(["protoc", f"-I{PROTO}", f"--python_out={out}", f"--grpc_python_out={out}", *files]) != 0:
            sys.exit(f"protoc cannot read {PROTO}: install from a checkout of Sink, pip install deploy/python")


setuptools.setup(cmdclass={"build_py": BuildWithStubs})
