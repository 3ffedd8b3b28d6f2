/**
 * The one place that knows Connect-ES: loaded on first use, since no program that uses another transport is to pay for it.
 *
 * @module
 */

import { ConnectError } from "../core/errors.ts";
import { bounded } from "./bounded_answer.ts";
import { createClient, type HttpTarget } from "./http_wire.ts";
import type { ClientTls } from "./tls.ts";
import { quietFetch } from "./quiet_fetch.ts";
import type { UnaryMethod } from "./rpc_requests.ts";
import type { Native, OpenSessionResponse, RunResponse } from "./rpc_schema.gen.ts";

/** The protocols of {@linkcode PythonHostRpcOptions}. */
export type RpcProtocol = "connect" | "grpc";

/** What a procedure is called with. */
export interface RpcCall {
  /** The metadata. */
  readonly headers: Readonly<Record<string, string>>;
  /** Cancels the call. */
  readonly signal: AbortSignal;
}

/** A failed procedure, in words that need no Connect-ES. */
export interface RpcFailure {
  /** The code in Connect's spelling, such as `unauthenticated`. */
  readonly code: string;
  /** What the server, or the library, said. */
  readonly message: string;
  /** The error in the form of docs/PROTOCOL.md, when the server was one of ours. */
  readonly payload: { readonly code: string; readonly message: string; readonly hint?: string } | null;
}

/** A client of `PythonService`. */
export interface RpcLink {
  /** Calls a procedure with one response, and gives its native message. */
  unary(method: UnaryMethod, message: Record<string, unknown>, call: RpcCall): Promise<Native | undefined>;
  /** Runs calls; the stream of what they say. */
  run(operations: readonly TypedOperation[], call: RpcCall): AsyncIterable<RunResponse>;
  /** Opens a session; its stream. */
  openSession(
    message: { protocol: number; client: string },
    call: RpcCall,
  ): AsyncIterable<OpenSessionResponse>;
  /** Says what an error means that one of these threw; null for one that is not of the protocol. */
  explain(error: unknown): RpcFailure | null;
  /** Ends all connections. */
  close(): void;
}

/** One of the calls of a `Run`. */
export interface TypedOperation {
  /** Its procedure. */
  readonly method: UnaryMethod;
  /** Its request message. */
  readonly message: Record<string, unknown>;
}

/** What a link is made with. */
export interface RpcLinkOptions {
  /** `http://127.0.0.1:50051`, without a path. */
  readonly address: string;
  /** Which protocol. */
  readonly protocol: RpcProtocol;
  /** The largest message, in bytes. */
  readonly maxMessageBytes: number;
  /** For an `https:` address. */
  readonly tls: ClientTls;
}

/** What to speak with a server. One that was looked up is known to speak one of both at its port. */
export function protocolOf({ endpoint, protocol }: HttpTarget, wanted: RpcProtocol | undefined): RpcProtocol {
  if (protocol === undefined) return wanted ?? "connect";
  if (wanted === undefined || wanted === protocol) return protocol;
  const names = { connect: "Connect", grpc: "gRPC" };
  throw new ConnectError(
    `Cannot connect to "${endpoint}" by ${names[wanted]}: its server speaks ${names[protocol]} there`,
    {
      hint: wanted === "grpc"
        ? "Leave out `protocol`, or start the server with gRPC (`start rpc --grpc`)."
        : "Leave out `protocol`, or pass the address of Connect, which the server says at its start.",
    },
  );
}

const SESSION_METHOD = "/OpenSession";

/** Loads what the protocol needs and makes a link; nothing is connected. */
export async function openLink(options: RpcLinkOptions): Promise<RpcLink> {
  const [{ Code, ConnectError, createClient: createRpcClient }, { create }, schema, carrier] = await Promise
    .all([
      import("npm:@connectrpc/connect@^2.2.0"),
      import("npm:@bufbuild/protobuf@^2.17.0"),
      import("./rpc_schema.gen.ts"),
      options.protocol === "grpc" ? openGrpc(options) : openConnect(options),
    ]);
  const client = createRpcClient(schema.PythonService, carrier.transport);
  type Unary = (
    message: Record<string, unknown>,
    call: RpcCall,
  ) => Promise<{ readonly native?: Native }>;
  return {
    async unary(method, message, call) {
      // The table of requests pairs each method with the fields of its own message.
      return (await (client[method] as unknown as Unary)(message, call)).native;
    },
    run(operations, call) {
      const request = create(schema.RunRequestSchema, {
        operations: operations.map(({ method, message }) => ({
          operation: { case: caseOf(method), value: message } as never,
        })),
      });
      return client.run(request, call);
    },
    openSession: (message, call) => client.openSession(message, call),
    explain(error) {
      if (!(error instanceof ConnectError)) return null;
      const [detail] = error.findDetails(schema.ErrorDetailSchema);
      const code = Code[error.code]!.replace(/[a-z](?=[A-Z])/g, "$&_").toLowerCase();
      if (detail === undefined) return { code, message: error.rawMessage, payload: null };
      const { code: word, message, hint } = detail;
      return {
        code,
        message,
        payload: hint === "" ? { code: word, message } : { code: word, message, hint },
      };
    },
    close: carrier.close,
  };
}

/** The case of `Operation` that stands for a method. */
function caseOf(method: UnaryMethod): string {
  return method === "toFloatArray2D" ? "toFloatArray2d" : method;
}

// What an answer has around the largest message.
const AROUND_BYTES = 64 * 1024;

async function openConnect({ address, tls, maxMessageBytes }: RpcLinkOptions) {
  const maxBytes = maxMessageBytes + AROUND_BYTES;
  const client = createClient(address, tls);
  const { createConnectTransport } = await import("npm:@connectrpc/connect-web@^2.2.0");
  const transport = createConnectTransport({
    baseUrl: address,
    useBinaryFormat: true,
    // The stream of a session is open for as long as the backend is: it alone must not keep the program running.
    fetch: async (input, init) => {
      const url = new URL(String(input));
      if (url.pathname.endsWith(SESSION_METHOD)) return await quietFetch(url, init ?? {}, tls, maxBytes);
      return bounded(await fetch(url, { ...init, client }), maxBytes);
    },
  });
  return { transport, close: () => client.close() };
}

async function openGrpc({ address, maxMessageBytes, tls }: RpcLinkOptions) {
  const { createGrpcTransport, Http2SessionManager } = await import("npm:@connectrpc/connect-node@^2.2.0");
  const sessionManager = new Http2SessionManager(
    address,
    // The stream of the session is always open; a timer of minutes would outlive the connection.
    { idleConnectionTimeoutMs: Infinity },
    nodeTls(tls),
  );
  const transport = createGrpcTransport({
    baseUrl: address,
    sessionManager,
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
  });
  return { transport, close: () => sessionManager.abort() };
}

function nodeTls({ caCerts, cert, key }: ClientTls): Record<string, unknown> {
  return {
    ...(caCerts === undefined ? {} : { ca: [...caCerts] }),
    ...(cert === undefined ? {} : { cert, key }),
  };
}
