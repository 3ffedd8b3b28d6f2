"""The smallest responder that a Connect client is content with: one fixed reply to every unary request."""

import socket

REPLY = b"\x0a\x02\x10\x02"  # EvaluateResponse { value { integer: 2 } }
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: %d\r\n\r\n" % len(REPLY)
) + REPLY


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        while True:
            chunk = connection.recv(65536)
            if not chunk:
                break
            data += chunk
            end = data.find(b"\r\n\r\n")
            if end < 0:
                continue
            at = data.lower().find(b"content-length:")
            length = int(data[at + 15 : data.find(b"\r\n", at)])
            if len(data) < end + 4 + length:
                continue
            data = data[end + 4 + length :]
            connection.sendall(ANSWER)


main()
