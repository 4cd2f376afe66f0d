"""What we show and whom we trust, and where to find it: the same places, in the same order, as sinkctl looks at
(coordinator/identity/credential.h)."""
import base64
import binascii
import os
import pathlib
import re
import stat
from typing import NamedTuple

import grpc

from sink_client.errors import CoordinatorError

SERVER_NAME = "coordinator.sink"  # by which every coordinator's certificate answers, whatever address leads to it
TOKEN = "sink-token:"


class Credential(NamedTuple):
    authority: bytes  # the certificate of the coordinator's authority
    key: bytes
    certificate: bytes  # ours
    secret: str = ""  # of a program's token: shown with every call
    address: str = ""  # likewise: where its coordinator is


def _place(address):
    """A folder of ca.pem, cert.pem and key.pem."""
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


def _decode(text, where):
    text = text.strip()
    try:
        data = text.removeprefix(TOKEN)
        # One of the first release has no secret.
        address, authority, certificate, key, *secret = base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)).split(b"\0")
        if text.startswith(TOKEN) and len(secret) <= 1:
            return Credential(authority, key, certificate, b"".join(secret).decode(), address.decode())
    except (binascii.Error, ValueError):
        pass
    raise CoordinatorError("FAILED_PRECONDITION", f"{where} is not a line that begins with {TOKEN}, as sinkctl prints it")


def token():
    """A program's (`sinkctl user token`): the line itself in $SINK_TOKEN, where a CI puts its secrets, else in the file
    that $SINK_CREDENTIALS names. None when the environment has neither."""
    if os.environ.get("SINK_TOKEN"):
        return _decode(os.environ["SINK_TOKEN"], "$SINK_TOKEN")
    named = os.environ.get("SINK_CREDENTIALS")
    if not named or not pathlib.Path(named).is_file():
        return None
    return _decode(_read(pathlib.Path(named), 0o027).decode(errors="replace"), named)


def of_user(address):
    path = _place(address)
    try:
        return Credential(_read(path / "ca.pem", 0o022), _read(path / "key.pem", 0o077), _read(path / "cert.pem", 0o022))
    except FileNotFoundError:
        raise CoordinatorError("UNAVAILABLE", f"there is no credential for the coordinator at {address} in {path}; start "
                               "it with `sink-coordinator --data DIR` as this user, or, where it runs elsewhere, ask its "
                               "admin for a login: `sinkctl login`") from None


def channel(address, credential, options):
    credentials = grpc.ssl_channel_credentials(credential.authority, credential.key, credential.certificate)
    if credential.secret:
        credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(credential.secret))
    return grpc.secure_channel(address, credentials, [*options, ("grpc.ssl_target_name_override", SERVER_NAME)])
