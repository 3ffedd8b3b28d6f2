"""What another user of the machine tries. Run as that user: python _other_user.py <what> <arguments>; prints what came of it."""

import os
import socket
import sys


def connect(path: str, data: str) -> str:
    """Connects, says something, and tells what the server says."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    try:
        sock.connect(path)
        sock.sendall(data.encode())
        answer = sock.recv(4096)
    except OSError as error:
        return type(error).__name__
    return f"answered {answer!r}" if answer else "closed"


def read(path: str) -> str:
    """Reads a file, or lists a directory."""
    try:
        if os.path.isdir(path):
            return f"listed {os.listdir(path)}"
        with open(path, encoding="utf-8") as file:
            return f"read {file.read()}"
    except OSError as error:
        return type(error).__name__


def listen(kind: str, where: str) -> str:
    """Listens in the server's place, until stdin ends; tells what the first client says."""
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(where)
        os.chmod(where, 0o777)
    else:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", int(where)))
    sock.listen(5)
    sock.settimeout(10)
    print("listening" if kind == "unix" else sock.getsockname()[1], flush=True)
    import select

    heard = b""
    while True:
        ready = select.select([sys.stdin, sock], [], [], 10)[0]
        if sock in ready:
            client = sock.accept()[0]
            client.settimeout(20)
            try:
                heard += client.recv(65536)
                client.sendall(CHALLENGE)
                heard += client.recv(65536)
            except OSError:
                pass  # the client has had enough
            client.close()
        elif ready or not sys.stdin.readline():
            break
    if kind == "unix":
        os.unlink(where)
    return f"heard {heard!r}"


# A challenge that any server could make up, without a proof.
_JSON = b'["challenge",{"protocol":1,"nonce":"00000000000000000000000000000000","proof":"","auth":false}]'
CHALLENGE = len(_JSON).to_bytes(4, "little") + bytes(4) + _JSON

print(globals()[sys.argv[1]](*sys.argv[2:]))
