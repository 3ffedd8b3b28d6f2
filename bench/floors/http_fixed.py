"""The floor under HTTP: the smallest responder, which answers every request with the same bytes."""

import socket
import sys

REPLY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[1,"ok",2]'[:-1]
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
while True:
    peer, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        data = peer.recv(65536)
        if not data:
            break
        if data.startswith(b"QUIT"):
            sys.exit()
        peer.sendall(REPLY)
