/**
 * The shapes that the host's API takes and gives. They check the input, and the OpenAPI document is made from them.
 *
 * @module
 */

import * as z from "npm:zod@^4.6.7";
import { HOST_CAPABILITIES } from "./api_capabilities.ts";

const text = z.string().max(4096).regex(/^[^\0]+$/, "a text without NUL");
// An option among them would be one of the installer's, such as the reading of a file.
const requirement = z.string().min(1).max(4096).regex(
  /^\s*[^\s-][^\r\n\0]*$/,
  "a requirement, not an option or several lines",
);
const packages = z.array(requirement).max(10_000);
const variables = z.record(z.string().regex(/^[^=\0]+$/, 'a name without "="'), z.string());

export const Name: z.ZodType<string> = z.string().max(1000).meta({
  description: 'The name of an environment: 1 to 64 letters, digits, ".", "_" and "-".',
  example: "analysis",
});

export const NamePath = z.strictObject({ name: Name });
export const IdPath = z.strictObject({ id: text });

export const Package = z.object({ name: z.string(), version: z.string(), url: z.string().optional() })
  .meta({ id: "Package", description: "An installed package." });

export const Environment = z.object({
  name: z.string(),
  state: z.enum(["ready", "broken", "missing"]),
  path: z.string().nullable().meta({ description: "Its directory, when it is ready." }),
  python: z.string().nullable().meta({ description: "Its interpreter, when it is ready." }),
  version: z.string().nullable().meta({ description: "The version of its Python, when it is ready." }),
  runtime: z.string().nullable().meta({ description: "The id of the runtime that it was made from." }),
  problem: z.string().nullable().meta({ description: "What is wrong with a broken one." }),
  requirements: z.array(z.string()).meta({ description: "What it was made from." }),
  packages: z.array(Package).nullable().meta({
    description: "What is installed; null where it was not looked up.",
  }),
}).meta({ id: "Environment", description: "What is known of an environment." });

const index = z.strictObject({
  indexUrl: text.optional(),
  extraIndexUrls: z.array(text).optional(),
  findLinks: z.array(text).optional(),
  noIndex: z.boolean().optional(),
  trustedHosts: z.array(text).optional(),
  certificates: text.optional(),
  timeoutSeconds: z.number().positive().optional(),
}).meta({ id: "Index", description: "Where packages come from; by default where pip is set to look." });

const change = {
  installer: z.enum(["auto", "uv", "pip"]).optional(),
  index: index.optional(),
  sourceBuilds: z.boolean().optional().meta({ description: "Whether packages may be built from source." }),
};

const specification = {
  ...change,
  python: text.optional().meta({ description: "A version, conditions, or a path.", example: ">=3.10" }),
  packages: packages.optional().meta({ description: "Requirements.", example: ["numpy>=2"] }),
  constraints: packages.optional(),
  lock: z.string().optional(),
  pip: z.boolean().optional().meta({ description: "Whether pip itself is put into it." }),
  template: z.enum(["minimal", "data-science", "machine-learning", "web-development", "full-stack"])
    .optional(),
  download: z.enum(["auto", "never"]).optional(),
};

export const EnsureEnvironment = z.strictObject({ name: Name.optional(), ...specification })
  .meta({ id: "EnsureEnvironment", description: "What an environment is to be." });
export const CreateEnvironment = z.strictObject({ name: Name, ...specification })
  .meta({ id: "CreateEnvironment", description: "A new environment." });
export const EnsureProvider = z.strictObject({
  provider: text,
  modelId: z.string().max(4096).optional(),
  computeBackend: z.enum(["rocm", "cuda", "vulkan", "cpu"]).optional(),
  rocmStrategy: z.enum(["model", "family", "single"]).optional(),
  ...specification,
}).meta({ id: "EnsureProvider", description: "A provider's environment, named as the original names it." });
export const ChangePackages = z.strictObject({ packages, ...change })
  .meta({ id: "ChangePackages", description: "Packages that are to come or to go." });
export const ProviderQuery = z.strictObject({
  provider: text,
  modelId: z.string().optional(),
  computeBackend: z.enum(["rocm", "cuda", "vulkan", "cpu"]).optional(),
  rocmStrategy: z.enum(["model", "family", "single"]).optional(),
});

export const RunRequest = z.strictObject({
  script: text.optional(),
  module: text.optional(),
  args: z.array(z.string().regex(/^[^\0]*$/, "a text without NUL")).optional(),
  cwd: text.optional(),
  env: variables.optional(),
  timeoutMs: z.int().positive().optional(),
  infrastructure: z.boolean().default(false).meta({
    description: "Whether it may ask what its starter may.",
  }),
}).meta({ id: "RunRequest", description: "A script or a module that is run to its end." });
export const RunResult = z.object({
  code: z.int(),
  signal: z.string().nullable(),
  stdout: z.string(),
  stderr: z.string(),
  timedOut: z.boolean(),
}).meta({ id: "RunResult", description: "How it ended." });

export const Runtime = z.object({
  id: z.string(),
  executable: z.string(),
  version: z.string(),
  implementation: z.string(),
  freeThreaded: z.boolean(),
  source: z.string(),
  managed: z.boolean(),
}).meta({ id: "Runtime", description: "An installed Python." });
export const RuntimeRequest = z.strictObject({
  request: text.default(">=3.9"),
  download: z.enum(["auto", "never"]).optional(),
}).meta({ id: "RuntimeRequest", description: "The Python that is wanted." });
export const DefaultRuntime = z.strictObject({ request: text.nullable() })
  .meta({ id: "DefaultRuntime", description: "The request that stands for any Python; null for none." });
export const Available = z.object({ version: z.string(), freeThreaded: z.boolean() })
  .meta({ id: "AvailableRuntime", description: "A Python that can be installed." });

export const Server = z.object({
  id: z.string(),
  environment: z.string().nullable(),
  transport: z.enum(["pipe", "http", "rpc"]),
  endpoint: z.string().meta({
    description: "What a client is given; one of the same user finds the token itself.",
  }),
  pid: z.int(),
  pythonVersion: z.string(),
  owner: z.enum(["host", "api"]).meta({ description: "Those of the host program cannot be stopped here." }),
}).meta({ id: "Server", description: "A server that runs." });
export const StartServer = z.strictObject({
  environment: Name,
  transport: z.enum(["pipe", "http", "rpc"]).default("pipe"),
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "the name of a pipe").optional()
    .meta({ description: "The name of a pipe." }),
  port: z.int().min(0).max(65_535).optional().meta({ description: "The port of HTTP or RPC." }),
  modulePaths: z.array(text).optional(),
  cwd: text.optional(),
  env: variables.optional(),
  infrastructure: z.union([
    z.boolean(),
    z.strictObject({ allow: z.array(z.enum(HOST_CAPABILITIES as [typeof HOST_CAPABILITIES[number]])) }),
  ]).optional().meta({ description: "What Python may ask there: never more than its starter may." }),
}).refine(({ transport, port }) => transport !== "pipe" || port === undefined, {
  path: ["port"],
  message: "a pipe has no port",
}).refine(({ transport, name }) => transport === "pipe" || name === undefined, {
  path: ["name"],
  message: "only a pipe has a name",
}).meta({ id: "StartServer", description: "A server that is to be started in an environment." });

export const Problems = z.object({ problems: z.array(z.string()) })
  .meta({ id: "Problems", description: "What is wrong, one line each." });
export const Deleted = z.object({ deleted: z.boolean() })
  .meta({ id: "Deleted", description: "Whether there was something to remove." });
export const Force = z.strictObject({
  force: z.enum(["true", "false"]).optional().meta({
    description: "Whether it is removed even while in use.",
  }),
});

export const ErrorBody = z.object({
  error: z.object({
    type: z.string().meta({ example: "EnvironmentError" }),
    code: z.string().meta({ example: "environment" }),
    message: z.string(),
    hint: z.string().optional(),
    reason: z.string().optional(),
    output: z.string().optional().meta({ description: "The decisive lines of a command that failed." }),
    exitCode: z.int().optional(),
    url: z.string().optional(),
    flags: z.array(z.string()).optional(),
    candidates: z.array(z.object({ path: z.string(), source: z.string(), reason: z.string() })).optional(),
  }),
}).meta({ id: "Error", description: "What went wrong." });

export const Progress = z.object({
  stage: z.string(),
  subject: z.string(),
  done: z.number().optional(),
  total: z.number().optional(),
  unit: z.enum(["bytes", "files"]).optional(),
  bytesPerSecond: z.number().optional(),
  message: z.string().optional(),
}).meta({ id: "Progress", description: "How far a long operation is." });
