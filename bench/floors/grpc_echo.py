"""A bare grpcio server: it gives one fixed reply to every unary request."""

from concurrent.futures import ThreadPoolExecutor

import grpc

REPLY = b"\x0a\x02\x10\x02"  # EvaluateResponse { value { integer: 2 } }


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(8))
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: REPLY)
    service = "beep.python.v1.PythonService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Evaluate": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


main()
