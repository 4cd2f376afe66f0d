"""The address of a coordinator, as people write it; the same rules, in the same order, as sinkctl has
(coordinator/client/address.cc)."""
import re
import socket

from sink_client.errors import CoordinatorError

DEFAULT_PORT = 7070


def _is_ipv6(text):
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return False
    return True


def _wrong(text, what, instead):
    return CoordinatorError("INVALID_ARGUMENT", f'"{text}" is not an address of a coordinator{what and ": " + what}; '
                            f"write {instead}")


def _without_user_and_path(text):
    return text.split("/")[0].rpartition("@")[2]


def check(text):
    """A CoordinatorError when the text is not HOST:PORT, with what to write in its place."""
    example = f"host:port, e.g. 127.0.0.1:{DEFAULT_PORT}"
    if text.strip() not in ("", text):
        raise _wrong(text, "there are blanks around it", text.strip())
    if not text or any(character.isspace() for character in text):
        raise _wrong(text, "", example)
    if "://" in text:
        raise _wrong(text, "it has no scheme", _without_user_and_path(text.partition("://")[2]))
    if text.find("/") > 0:
        raise _wrong(text, "it has no path", _without_user_and_path(text))
    if "@" in text:
        raise _wrong(text, "it has no user", _without_user_and_path(text))
    host, colon, port = text.rpartition(":")
    # "::1:7070" may be either; who writes it means a port.
    if _is_ipv6(host):
        raise _wrong(text, "an IPv6 address stands in brackets", f"[{host}]:{port}")
    if _is_ipv6(text):
        raise _wrong(text, "an IPv6 address stands in brackets", f"[{text}]:{DEFAULT_PORT}")
    if not colon or (text.startswith("[") and text.endswith("]")):
        raise _wrong(text, "the port is missing", f"host:port, e.g. {text}:{DEFAULT_PORT}")
    # Of the characters of an IPv6 address only what stands in brackets has any.
    in_brackets = re.fullmatch(r"\[(.*)\]", host)
    is_host = _is_ipv6(in_brackets[1]) if in_brackets else re.fullmatch(r"[^\[\]:]+", host)
    if not is_host or not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise _wrong(text, "", example)
