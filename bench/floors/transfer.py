"""The floor under large values: raw bytes over a Unix socket, and rows as JSON the ordinary way.

One byte asks: "r" for 8 MB, "w" announces 8 MB to come, "j" asks for 10,000 rows as JSON behind their length.
"""

import json
import socket
import struct
import sys

SIZE = 8_000_000
# Written once, as an array is: zeros that nobody has written are one page of memory, again and again.
data = b"\1" * SIZE
rows = [{"id": i, "name": f"name {i}", "value": i * 1.1, "ok": i % 2 == 0, "group": f"g{i % 7}"} for i in range(10_000)]
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
peer, _ = listener.accept()
while True:
    asked = peer.recv(1)
    if asked == b"r":
        peer.sendall(data)
    elif asked == b"w":
        target = memoryview(bytearray(SIZE))
        while target:
            target = target[peer.recv_into(target) :]
        peer.sendall(b"k")
    elif asked == b"j":
        text = json.dumps(rows).encode()
        peer.sendall(struct.pack("<I", len(text)) + text)
    else:
        break
