/**
 * Python in TypeScript: find it or get it, run it, call it, and leave nothing behind.
 *
 * Importing this module does nothing. {@linkcode PythonHost} owns the whole chain; {@linkcode PythonHostPipe} and
 * {@linkcode PythonHostHttp} connect to a server that runs already; {@linkcode Infrastructure} makes environments, and
 * {@linkcode servers} starts servers, for programs that want the steps one by one.
 *
 * @example Own the whole chain
 * ```ts
 * import { PythonHost } from "jsr:@beep/python-host";
 * import { assertEquals } from "jsr:@std/assert";
 *
 * await using host = await PythonHost.start();
 * const value = await host.evaluate<number>("import math; math.factorial(n)", { n: 10 });
 * assertEquals(value, 3628800);
 * ```
 *
 * @module
 */

// Start here
export { LentBackend, PythonHost, PythonHostPool } from "./host/mod.ts";
export { createHostApi, ExposedFunctions, HOST_CAPABILITIES, HostServers } from "./host/mod.ts";
export type {
  ApiHost,
  DotnetOptions,
  HostApi,
  HostApiOptions,
  HostCapability,
  HostFunction,
  HostFunctions,
  HostServer,
  HostServerOptions,
  HostServersOptions,
  InfrastructureOption,
} from "./host/mod.ts";
export type {
  HostStatistics,
  PoolCloseOptions,
  PoolItems,
  PoolMapOptions,
  PoolRunOptions,
  PoolStatistics,
  PoolUseOptions,
  PoolWork,
  PythonHostPoolOptions,
  RestartEvent,
  RestartOptions,
  ServerStatistics,
} from "./host/mod.ts";
export { CallCounters, type CallStatistics, type CountedEnd } from "./core/call_counters.ts";
export type { LatencySummary } from "./core/latency_histogram.ts";
export type { HostEndpoint, HostEnvironment, HostTls, HostTransport, PythonHostOptions } from "./host/mod.ts";

// Backends, and the interface that all of them have
export { PythonHostClient, PythonHostHttp, PythonHostPipe, PythonHostRpc } from "./transports/mod.ts";
export type {
  CallSpan,
  CallTracer,
  ClientOptions,
  ExplainEnd,
  PythonHostHttpOptions,
  PythonHostPipeOptions,
  PythonHostRpcOptions,
  RpcProtocol,
} from "./transports/mod.ts";
export type { IncomingParts, Traffic, Wire, WireEvents, WireWelcome } from "./transports/mod.ts";
export type {
  CallOptions,
  CloseOptions,
  InitializeOptions,
  KeywordArguments,
  PositionalArguments,
  PythonHostBackend,
  ResultMode,
  ServerInfo,
} from "./core/backend.ts";

export type { InputHandler, MimeBundle, ProgressReport, PythonLogRecord } from "./core/call_events.ts";

// Sessions, and things to look at
export { BackendFacade, forNotebook, openSession, PythonSession } from "./objects/mod.ts";
export type {
  Completions,
  HistoryEntry,
  Inspection,
  NameKind,
  SessionOptions,
  ShowOptions,
  VariableInfo,
} from "./objects/mod.ts";

// Objects that live in Python, as if they were here
export {
  attribute,
  awaited,
  contains,
  deleteAttribute,
  deleteItem,
  dir,
  ellipsis,
  handleOf,
  hold,
  isProxy,
  item,
  iterate,
  Keywords,
  kw,
  len,
  op,
  proxy,
  PythonScope,
  PythonSlice,
  repr,
  run,
  scope,
  setAttribute,
  setItem,
  slice,
  str,
  truth,
  withContext,
} from "./objects/mod.ts";
export type {
  awaitedType,
  Described,
  describedType,
  EnteredValue,
  HeldHandle,
  Image,
  IterateOptions,
  LeakReport,
  ProxyOptions,
  PythonArguments,
  PythonCallable,
  PythonItem,
  PythonMembers,
  PythonObject,
  PythonOperand,
  PythonOperators,
  PythonPath,
  PythonProxy,
  PythonResult,
  ScopeOptions,
  Untyped,
} from "./objects/mod.ts";

// References to what lives in Python
export { type HandleOwner, PythonModuleHandle, PythonObjectHandle } from "./core/handles.ts";

// Values that have no type of their own in JavaScript
export {
  pyFloat,
  PythonArray,
  type PythonArrayData,
  type PythonClassName,
  PythonComplex,
  PythonDataclass,
  PythonDecimal,
  PythonEnum,
  PythonFloat,
  PythonIterator,
  pythonIterator,
  type PythonIteratorOptions,
  PythonNamedTuple,
  PythonTuple,
  PythonUuid,
  pythonValue,
} from "./core/values.ts";
export { type ConstructorArguments, type PythonConverter, registerConverter } from "./core/values.ts";

// Errors
export {
  AddressInUseError,
  AuthenticationError,
  CallNotInterruptedError,
  CallTimeoutError,
  CommandError,
  ConnectError,
  ConnectionClosedError,
  CrashLoopError,
  DownloadError,
  EnvironmentError,
  HashMismatchError,
  PermissionNeededError,
  ProtocolError,
  PythonError,
  PythonHostError,
  PythonNotFoundError,
  ServerExitedError,
  ServerStartError,
  StaleHandleError,
  ValueConversionError,
} from "./core/errors.ts";
export type {
  EnvironmentErrorReason,
  ExitFacts,
  PythonExceptionInfo,
  PythonFrame,
  PythonHostErrorCode,
  PythonHostErrorOptions,
  RefusedCandidate,
} from "./core/errors.ts";

// What both sides of a connection agree on
export { JsonText } from "./core/protocol.ts";
export type { Lane, Operation, RequestArguments, RequestMessage, RequestOptions } from "./core/protocol.ts";
export type { Logger } from "./core/logger.ts";

// The layers below
export * as Infrastructure from "./infrastructure/mod.ts";
export * as servers from "./servers/mod.ts";
