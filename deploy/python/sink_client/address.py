"""The address of a coordinator, as people write it; the same rules, in the same order, as sinkctl has
(coordinator/identity/host_port.cc)."""
import re
import socket

from sink_client.errors import CoordinatorError

DEFAULT_PORT = 7070
EXAMPLE = f"host:port, e.g. 127.0.0.1:{DEFAULT_PORT}"


def check(text):
    """A CoordinatorError when the text is not HOST:PORT, with what to write in its place."""
    fault = _fault(text)
    if fault:
        why, instead = fault
        raise CoordinatorError("INVALID_ARGUMENT", f'"{text}" is not an address of a coordinator{why and ": " + why}; '
                               f"write {instead}")


def _fault(text):
    """Why it is none, which may be empty, and what to write; None where it is one."""
    bare, why = _bare(text)
    if why:
        more = _fault(bare)
        return why, more[1] if more else bare
    host, colon, port = text.rpartition(":")
    # "::1:7070" may be either; who writes it means a port.
    if _is_ipv6(host):
        return "an IPv6 address stands in brackets", f"[{host}]:{port}"
    if _is_ipv6(text):
        return "an IPv6 address stands in brackets", f"[{text}]:{DEFAULT_PORT}"
    if re.fullmatch("[0-9]+", text):
        return "the host is missing", f"host:port, e.g. 127.0.0.1:{text}"
    if text and (not colon or (text.startswith("[") and text.endswith("]"))):
        return "the port is missing", f"host:port, e.g. {text}:{DEFAULT_PORT}"
    # Of the characters of an IPv6 address only what stands in brackets has any.
    in_brackets = re.fullmatch(r"\[(.+)\]", host)
    if not (_is_ipv6(in_brackets[1]) if in_brackets else re.fullmatch(r"[^\[\]:]+", host)):
        return "", EXAMPLE
    if not re.fullmatch("[0-9]+", port) or not 1 <= int(port) <= 65535:
        return "a port is a number from 1 to 65535", f"host:port, e.g. {host}:{DEFAULT_PORT}"
    return None


def _bare(text):
    """What is left without that which belongs to a URL, or came with a copy from elsewhere, and the first that was
    there."""
    why = ""
    for pattern, not_there in ((r"\s", "it has no blanks"), (r"^.*?://", "it has no scheme"), ("/.*$", "it has no path"),
                               ("^.*@", "it has no user")):
        rest = re.sub(pattern, "", text)
        why = why or (not_there if rest != text else "")
        text = rest
    return text, why


def _is_ipv6(text):
    """Also with a zone."""
    try:
        socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True
