"""Our side's certificate, and where to find it: the same places, in the same order, as sinkctl looks at
(coordinator/identity/credential.h)."""
import base64
import binascii
import os
import pathlib
import re
import stat

import grpc

from sink_client.errors import CoordinatorError

SERVER_NAME = "coordinator.sink"  # by which every coordinator's certificate answers, whatever address leads to it
TOKEN = "sink-token:"


def place(address):
    """A folder of ca.pem, cert.pem and key.pem, or a file with a program's token: `sinkctl user add --program`."""
    if os.environ.get("SINK_CREDENTIALS"):
        return pathlib.Path(os.environ["SINK_CREDENTIALS"])
    config = os.environ.get("XDG_CONFIG_HOME", "")
    config = pathlib.Path(config) if config.startswith("/") else pathlib.Path.home() / ".config"
    host, colon, port = address.rpartition(":")
    if host in ("localhost", "[::1]"):
        host = "127.0.0.1"
    return config / "sink" / re.sub(r"[^A-Za-z0-9.-]", "_", host + colon + port)


def _read(path, forbidden):
    if stat.S_IMODE(path.stat().st_mode) & forbidden:
        raise CoordinatorError("FAILED_PRECONDITION", f"{path} can be read or changed by other users; make it yours alone: "
                               f"chmod 600 {path}")
    return path.read_bytes()


def _token(path):
    text = _read(path, 0o027).decode(errors="replace").strip()
    try:
        data = text.removeprefix(TOKEN)
        _, authority, certificate, key = base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)).split(b"\0")
    except (binascii.Error, ValueError):
        key = None
    if key is None or not text.startswith(TOKEN):
        raise CoordinatorError("FAILED_PRECONDITION", f"{path} is not a line that begins with {TOKEN}, as sinkctl prints it")
    return authority, key, certificate


def find(address):
    """What gRPC needs: the authority's certificate, our key, our certificate."""
    path = place(address)
    try:
        if path.is_file():
            return _token(path)
        return _read(path / "ca.pem", 0o022), _read(path / "key.pem", 0o077), _read(path / "cert.pem", 0o022)
    except FileNotFoundError:
        raise CoordinatorError("UNAVAILABLE", f"there is no credential for the coordinator at {address} in {path}; start "
                               "it with `sink-coordinator --data DIR` as this user, or, where it runs elsewhere, ask its "
                               "admin for a login: `sinkctl login`") from None


def channel(address, options):
    authority, key, certificate = find(address)
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    return grpc.secure_channel(address, credentials, [*options, ("grpc.ssl_target_name_override", SERVER_NAME)])
