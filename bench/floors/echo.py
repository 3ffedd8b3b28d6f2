"""The floor under the pipe: a bare loop that sends back what it receives over a Unix socket."""

import socket
import sys

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
peer, _ = listener.accept()
while True:
    data = peer.recv(65536)
    if not data:
        break
    peer.sendall(data)
