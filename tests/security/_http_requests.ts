/**
 * Hostile HTTP requests, made by hand: bytes, and the status with which they must be refused.
 *
 * Numbers in the names are those of the catalogue of failures: 81 slow, 82 framing, S1 tokens, S2 hosts, S3 browsers.
 */

/** One request. Each is sent on a connection of its own, which the server must end. */
export interface HostileRequest {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The statuses that are right; empty where the server closes without a word. */
  readonly status: readonly number[];
  /** What the answer must contain. */
  readonly says?: string;
}

/** What the requests are made for. */
export interface Place {
  readonly port: number;
  readonly token: string;
  /** A path that runs code, and the body that asks it for that. */
  readonly path: string;
  readonly body: string;
  /** Content types that this path does not take. */
  readonly otherTypes: readonly string[];
}

/** The place of a server over HTTP. */
export function httpPlace(port: number, token: string): Place {
  const body = JSON.stringify({ expression: MARKER });
  return { port, token, path: "/api/eval", body, otherTypes: ["application/x-beep-frames"] };
}

/** The place of a server over RPC that speaks Connect. */
export function connectPlace(port: number, token: string): Place {
  const body = JSON.stringify({ code: MARKER });
  const otherTypes = [
    "application/connect+json",
    "application/connect+proto",
    "application/grpc",
    "application/grpc-web",
  ];
  return { port, token, path: "/beep.python.v1.PythonService/Evaluate", body, otherTypes };
}

/** The place of the original's clients of RPC, on the same server. */
export function dialectPlace(port: number, token: string): Place {
  const body = JSON.stringify({ Expression: MARKER });
  const otherTypes = ["application/proto", "application/connect+json"];
  return { port, token, path: "/rpc/PythonService/Evaluate", body, otherTypes };
}

/** What every smuggled request would do if it were run. */
export const MARKER = "import builtins; builtins.smuggled = True";

/** All of them. */
export function hostileRequests(place: Place): HostileRequest[] {
  return [
    ...framing(place),
    ...chunks(place),
    ...requestLines(place),
    ...headerLines(place),
    ...hosts(place),
    ...browsers(place),
    ...tokens(place),
    ...notHttp(),
  ];
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** A request with all that is right, but for what is given. */
function request(
  { port, token, path }: Place,
  fields: readonly string[],
  { line = `POST ${path} HTTP/1.1`, host = `localhost:${port}`, body = "", auth = `Bearer ${token}` }: {
    line?: string;
    host?: string | null;
    body?: string;
    auth?: string | null;
  } = {},
): Uint8Array {
  const lines = [
    line,
    ...(host === null ? [] : [`Host: ${host}`]),
    ...(auth === null ? [] : [`Authorization: ${auth}`]),
    ...fields,
  ];
  return latin1(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

const JSON_TYPE = "Content-Type: application/json";

function framing(place: Place): HostileRequest[] {
  const smuggled = latin1Text(
    request(place, [JSON_TYPE, `Content-Length: ${place.body.length}`], { body: place.body }),
  );
  const chunked = "Transfer-Encoding: chunked";
  const cases: [string, string[], number[]][] = [
    ["CL and TE", ["Content-Length: 5", chunked], [400]],
    ["TE and CL", [chunked, "Content-Length: 5"], [400]],
    ["CL twice, the same", ["Content-Length: 0", "Content-Length: 0"], [400]],
    ["CL twice, different", ["Content-Length: 0", "Content-Length: 5"], [400]],
    ["CL as a list", ["Content-Length: 0, 0"], [400]],
    ["CL with a plus", ["Content-Length: +0"], [400]],
    ["CL negative", ["Content-Length: -1"], [400]],
    ["CL in hex", ["Content-Length: 0x0"], [400]],
    ["CL with a fraction", ["Content-Length: 0.0"], [400]],
    ["CL with an underscore", ["Content-Length: 1_0"], [400]],
    ["CL empty", ["Content-Length:"], [400]],
    ["CL of other digits", ["Content-Length: \xb2"], [400]],
    ["CL with a space inside", ["Content-Length: 0 0"], [400]],
    ["CL beyond the limit", ["Content-Length: 268435457"], [413]],
    ["CL of 4 GiB", ["Content-Length: 4294967296"], [413]],
    ["CL of 2^64", ["Content-Length: 18446744073709551616"], [413]],
    ["CL of 5,000 digits", [`Content-Length: ${"9".repeat(5000)}`], [413]],
    ["TE twice", [chunked, chunked], [400]],
    ["TE chunked twice in one", ["Transfer-Encoding: chunked, chunked"], [501]],
    ["TE gzip, chunked", ["Transfer-Encoding: gzip, chunked"], [501]],
    ["TE chunked, identity", ["Transfer-Encoding: chunked, identity"], [501]],
    ["TE identity", ["Transfer-Encoding: identity"], [501]],
    ["TE xchunked", ["Transfer-Encoding: xchunked"], [501]],
    ["TE quoted", ['Transfer-Encoding: "chunked"'], [501]],
    ["TE empty", ["Transfer-Encoding:"], [501]],
    ["TE with a vertical tab", ["Transfer-Encoding: \x0bchunked"], [400]],
    ["TE with a parameter", ["Transfer-Encoding: chunked;q=1"], [501]],
    ["TE with a space before its colon", ["Transfer-Encoding : chunked"], [400]],
    ["TE folded", ["Transfer-Encoding:\r\n chunked"], [400]],
    ["TE behind a bare LF", ["X: y\nTransfer-Encoding: chunked"], [400]],
    ["TE behind a bare CR", ["X: y\rTransfer-Encoding: chunked"], [400]],
    ["TE behind NUL", ["X: y\0Transfer-Encoding: chunked"], [400]],
    ["CL with a space before its colon", ["Content-Length : 5"], [400]],
    ["CL folded", ["Content-Length:\r\n\t5"], [400]],
  ];
  const made = cases.map(([name, fields, status]) => ({
    name: `82 ${name}`,
    bytes: request(place, [JSON_TYPE, ...fields], { body: `0\r\n\r\n${smuggled}` }),
    status,
  }));
  return [
    ...made,
    {
      name: "82 TE in HTTP/1.0",
      bytes: request(place, [JSON_TYPE, chunked], {
        line: `POST ${place.path} HTTP/1.0`,
        body: `0\r\n\r\n${smuggled}`,
      }),
      status: [400],
    },
  ];
}

function latin1Text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function chunks(place: Place): HostileRequest[] {
  const cases: [string, string, number[]][] = [
    ["a size that is no number", "g\r\n", [400]],
    ["a negative size", "-1\r\n", [400]],
    ["a size with a plus", "+1\r\nx\r\n0\r\n\r\n", [400]],
    ["a size with 0x", "0x1\r\nx\r\n0\r\n\r\n", [400]],
    ["a size with a space before it", " 1\r\nx\r\n0\r\n\r\n", [400]],
    ["a size with an underscore", "1_0\r\n", [400]],
    ["a size with a space behind it", "1 \r\nx\r\n0\r\n\r\n", [400]],
    ["a size with a tab behind it", "1\t\r\nx\r\n0\r\n\r\n", [400]],
    ["NUL in an extension", "1;a=\0\r\nx\r\n0\r\n\r\n", [400]],
    ["data that begins with a line end", "1\r\n\r\nx\r\n0\r\n\r\n", [400]],
    ["a length in a trailer", "0\r\nContent-Length 5\r\n\r\n", [400]],
    ["an empty size", "\r\n", [400]],
    ["only an extension", ";a=b\r\n", [400]],
    ["a size of 4 GiB", "100000000\r\n", [413]],
    ["a size of 2^64", "10000000000000000\r\n", [400, 413]],
    ["a size of 200 digits", `${"1".repeat(200)}\r\n`, [400, 413]],
    ["a size line without end", "1".repeat(5000), [400, 413]],
    ["an extension without end", `1;${"a".repeat(5000)}`, [400, 413]],
    ["a bare LF behind the size", "1\nx\r\n0\r\n\r\n", [400]],
    ["a bare CR behind the size", "1\rx\r\n0\r\n\r\n", [400]],
    ["a bare LF in an extension", "1;a\nb\r\nx\r\n0\r\n\r\n", [400]],
    ["more data than the size says", "1\r\nxy\r\n0\r\n\r\n", [400]],
    ["a bare LF behind the data", "1\r\nx\n0\r\n\r\n", [400]],
    ["a trailer that is no field", "0\r\nno field\r\n\r\n", [400]],
    ["a trailer with NUL", "0\r\nA: \0\r\n\r\n", [400]],
    ["a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", [400]],
    ["a trailer without end", `0\r\n${"A: b\r\n".repeat(4000)}`, [400, 431]],
  ];
  return cases.map(([name, body, status]) => ({
    name: `82 chunk: ${name}`,
    bytes: request(place, [JSON_TYPE, "Transfer-Encoding: chunked"], { body }),
    status,
  }));
}

function requestLines(place: Place): HostileRequest[] {
  const { path } = place;
  const lastInHex = path.charCodeAt(path.length - 1).toString(16);
  const cases: [string, string, number[]][] = [
    ["two spaces", `POST  ${path} HTTP/1.1`, [400]],
    ["a tab", `POST\t${path} HTTP/1.1`, [400]],
    ["a space at the start", ` POST ${path} HTTP/1.1`, [400]],
    ["a space at the end", `POST ${path} HTTP/1.1 `, [400]],
    ["no version", `POST ${path}`, [400]],
    ["HTTP/0.9", "GET /health HTTP/0.9", [505]],
    ["HTTP/2.0", `POST ${path} HTTP/2.0`, [505]],
    ["HTTP/1.2", `POST ${path} HTTP/1.2`, [505]],
    ["HTTP/1.10", `POST ${path} HTTP/1.10`, [400]],
    ["http/1.1", `POST ${path} http/1.1`, [400]],
    ["HTTPS/1.1", `POST ${path} HTTPS/1.1`, [400]],
    ["a space in the path", `POST ${path} x HTTP/1.1`, [400]],
    ["NUL in the path", `POST ${path}\0 HTTP/1.1`, [400]],
    ["raw UTF-8 in the path", "POST /api/\xc3\xa9 HTTP/1.1", [400]],
    ["a fragment", `POST ${path}#x HTTP/1.1`, [400]],
    ["no slash", `POST ${path.slice(1)} HTTP/1.1`, [400]],
    ["an asterisk", "POST * HTTP/1.1", [400]],
    ["an authority", "CONNECT evil.example:443 HTTP/1.1", [400]],
    ["a URL of another scheme", `POST ftp://localhost${path} HTTP/1.1`, [400]],
    ["a URL of another host", `POST http://evil.example${path} HTTP/1.1`, [421]],
    ["a URL with credentials", `POST http://a@localhost:${place.port}${path} HTTP/1.1`, [421]],
    ["two slashes", `POST /${path} HTTP/1.1`, [404]],
    ["dots", `POST /api/..${path} HTTP/1.1`, [404]],
    ["an encoded path", `POST ${path.slice(0, -1)}%${lastInHex} HTTP/1.1`, [404]],
    ["another case", `POST ${path.toUpperCase()} HTTP/1.1`, [404]],
    ["a slash at the end", `POST ${path}/ HTTP/1.1`, [404]],
    ["a private method", `POST ${path.slice(0, path.lastIndexOf("/"))}/__class__ HTTP/1.1`, [404]],
    ["a path of 20 KiB", `POST /${"a".repeat(20_000)} HTTP/1.1`, [431]],
    ["a query of 20 KiB", `POST ${path}?${"a".repeat(20_000)} HTTP/1.1`, [431]],
    ["GET of a command", `GET ${path} HTTP/1.1`, [405]],
    ["HEAD of a command", `HEAD ${path} HTTP/1.1`, [405]],
    ["PUT", `PUT ${path} HTTP/1.1`, [405]],
    ["DELETE", `DELETE ${path} HTTP/1.1`, [405]],
    ["TRACE", `TRACE ${path} HTTP/1.1`, [405]],
    ["post", `post ${path} HTTP/1.1`, [405]],
    ["POST to /health", "POST /health HTTP/1.1", [405]],
    ["a method of 5 KiB", `${"A".repeat(5000)} ${path} HTTP/1.1`, [405]],
    ["a method that is no token", `PO(ST ${path} HTTP/1.1`, [400]],
    ["an empty method", ` ${path} HTTP/1.1`, [400]],
    ["CONNECT of this server", `CONNECT localhost:${place.port} HTTP/1.1`, [400]],
    ["OPTIONS of everything", "OPTIONS * HTTP/1.1", [403]],
    ["PRI of everything", "PRI * HTTP/2.0", [400, 505]],
    ["a URL without a path to another host", "GET http://evil.example HTTP/1.1", [421]],
    ["a URL in capitals to another host", `POST HTTP://EVIL.EXAMPLE${path} HTTP/1.1`, [421]],
    ["a backslash", `POST \\${path} HTTP/1.1`, [400]],
    ["a path behind a semicolon", `POST ${path};x HTTP/1.1`, [404]],
    ["an encoded slash", `POST ${path.replace(/\/(?=[^/]*$)/, "%2f")} HTTP/1.1`, [404]],
    ["an encoded NUL", `POST ${path}%00 HTTP/1.1`, [404]],
  ];
  return cases.map(([name, line, status]) => ({
    name: `82 request line: ${name}`,
    bytes: request(place, [JSON_TYPE, "Content-Length: 2"], { line, body: "{}" }),
    status,
  }));
}

function headerLines(place: Place): HostileRequest[] {
  const cases: [string, string[], number[]][] = [
    ["no colon", ["nothing"], [400]],
    ["no name", [": x"], [400]],
    ["a space in the name", ["A B: x"], [400]],
    ["a space before the name", [" A: x"], [400]],
    ["a name that is no token", ["A(: x"], [400]],
    ["a name in UTF-8", ["\xc3\xa9: x"], [400]],
    ["NUL in the value", ["A: \0"], [400]],
    ["an escape in the value", ["A: \x1b[31m"], [400]],
    ["DEL in the value", ["A: \x7f"], [400]],
    ["101 fields", Array.from({ length: 101 }, (_, i) => `A${i}: x`), [431]],
    ["17 KiB in one field", [`A: ${"x".repeat(17_000)}`], [431]],
    ["17 KiB in many fields", Array.from({ length: 17 }, (_, i) => `A${i}: ${"x".repeat(1000)}`), [431]],
    ["Content-Type twice", [JSON_TYPE], [400]],
    ["Expect of something", ["Expect: 200-ok"], [417]],
    ["a session twice", ["Beep-Session: a", "Beep-Session: b"], [400]],
    ["CL named by Connection", ["Connection: content-length", "Content-Length: 0"], [400]],
  ];
  return cases.map(([name, fields, status]) => ({
    name: `82 header: ${name}`,
    bytes: request(place, [JSON_TYPE, "Content-Length: 18", ...fields], { body: '{"expression":"1"}' }),
    status,
  }));
}

function hosts(place: Place): HostileRequest[] {
  const { port } = place;
  const spellings = [
    "evil.example",
    `evil.example:${port}`,
    "localhost",
    "127.0.0.1",
    "[::1]",
    "localhost:",
    `localhost:${port + 1}`,
    `localhost:0${port}`,
    `localhost:+${port}`,
    `localhost.:${port}`,
    `.localhost:${port}`,
    `localhost :${port}`,
    `localhost: ${port}`,
    `localhost:${port}:${port}`,
    `localhost:${port}.evil.example`,
    `localhost:${port}@evil.example`,
    `evil@localhost:${port}`,
    `localhost:${port}/`,
    `localhost:${port}?`,
    `localhost:${port}#`,
    `localhost:${port},evil.example`,
    `evil.example,localhost:${port}`,
    `localhost:${port} evil.example`,
    `http://localhost:${port}`,
    `//localhost:${port}`,
    `127.1:${port}`,
    `127.0.1:${port}`,
    `2130706433:${port}`,
    `0x7f000001:${port}`,
    `0177.0.0.1:${port}`,
    `127.0.0.01:${port}`,
    `127.0.0.2:${port}`,
    `127.0.0.1.:${port}`,
    `127.0.0.1.nip.io:${port}`,
    `localtest.me:${port}`,
    `0.0.0.0:${port}`,
    `0:${port}`,
    `[::]:${port}`,
    `::1:${port}`,
    `[::1%lo]:${port}`,
    `[0:0:0:0:0:0:0:1]:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    `[localhost]:${port}`,
    `"localhost:${port}"`,
    `localhost%00:${port}`,
    `loc\xe4lhost:${port}`,
    `l\xc3\xb6calhost:${port}`,
    `xn--localhost:${port}`,
    "null",
    "",
  ];
  return [
    ...spellings.map((host) => ({
      name: `S2 Host: ${JSON.stringify(host)}`,
      bytes: request(place, [JSON_TYPE, `Content-Length: ${place.body.length}`], { host, body: place.body }),
      status: [421],
    })),
    { name: "S2 no Host", bytes: request(place, [JSON_TYPE], { host: null }), status: [400] },
    { name: "S2 Host twice", bytes: request(place, [`Host: localhost:${port}`]), status: [400] },
    {
      name: "S2 no Host in HTTP/1.0",
      bytes: request(place, [JSON_TYPE], { host: null, line: `POST ${place.path} HTTP/1.0` }),
      status: [421],
    },
    {
      name: "S2 another Host for /health",
      bytes: request(place, [], { host: "evil.example", line: "GET /health HTTP/1.1", auth: null }),
      status: [421],
    },
  ];
}

function browsers(place: Place): HostileRequest[] {
  const { port } = place;
  const origins = [
    "https://evil.example",
    "null",
    `http://localhost:${port}`,
    `http://127.0.0.1:${port}`,
    "file://",
    "chrome-extension://abc",
    "",
  ];
  const post = (name: string, fields: string[], status: number[], auth?: null): HostileRequest => ({
    name: `S3 ${name}`,
    bytes: request(place, [...fields, `Content-Length: ${place.body.length}`], {
      body: place.body,
      ...(auth === null ? { auth } : {}),
    }),
    status,
  });
  const preflight = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization"];
  return [
    ...origins.map((origin) => post(`Origin: ${origin}`, [JSON_TYPE, `Origin: ${origin}`], [403])),
    post("a fetch without credentials", [JSON_TYPE, "Origin: https://evil.example"], [403], null),
    post("a second Origin", [JSON_TYPE, "Origin: a", "Origin: b"], [400]),
    ...["cross-site", "same-site", "same-origin", "CROSS-SITE"].map((site) =>
      post(`Sec-Fetch-Site: ${site}`, [JSON_TYPE, `Sec-Fetch-Site: ${site}`], [403])
    ),
    ...[
      ...place.otherTypes,
      "text/plain",
      "text/plain; x=application/json",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/jsonp",
      "application/json, text/plain",
      "",
    ].map((type) => post(`content type "${type}"`, [`Content-Type: ${type}`], [415])),
    post("no content type", [], [415]),
    ...["gzip", "br", "identity, gzip", "GZIP"].map((coding) =>
      // 501 is what the protocol of Connect wants.
      post(`content encoding "${coding}"`, [JSON_TYPE, `Content-Encoding: ${coding}`], [415, 501])
    ),
    ...[place.path, "/health", "*", "/beep/v1/call"].map((path) => ({
      name: `S3 OPTIONS ${path}`,
      bytes: request(place, [`Origin: https://evil.example`, ...preflight], {
        line: `OPTIONS ${path} HTTP/1.1`,
        auth: null,
      }),
      status: [403],
    })),
    {
      name: "S3 OPTIONS without Origin",
      bytes: request(place, [], { line: `OPTIONS ${place.path} HTTP/1.1` }),
      status: [403],
    },
  ];
}

function tokens(place: Place): HostileRequest[] {
  const { token } = place;
  const wrong: [string, string | null][] = [
    ["none", null],
    ["empty", ""],
    ["no scheme", token],
    ["another scheme", `Basic ${token}`],
    ["only the scheme", "Bearer"],
    ["an empty token", "Bearer "],
    ["one digit less", `Bearer ${token.slice(1)}`],
    ["one digit more", `Bearer ${token}0`],
    ["twice", `Bearer ${token}${token}`],
    [
      "in capitals",
      `Bearer ${token.toUpperCase().replaceAll(/[0-9]/g, (digit) => String(9 - Number(digit)))}`,
    ],
    ["zeros", `Bearer ${"0".repeat(64)}`],
    ["quoted", `Bearer "${token}"`],
    ["in a list", `Bearer ${token}, Bearer ${token}`],
    ["not ASCII", "Bearer \xe9\xe9\xe9"],
    ["8 KiB", `Bearer ${"0".repeat(8000)}`],
    ["as a parameter", `Bearer token=${token}`],
  ];
  const line = `POST ${place.path}?token=${token} HTTP/1.1`;
  const fields = [JSON_TYPE, `Content-Length: ${place.body.length}`];
  return [
    ...wrong.map(([name, auth]) => ({
      name: `S1 token: ${name}`,
      bytes: request(place, fields, { auth, body: place.body }),
      status: [401],
    })),
    {
      name: "S1 token in the query",
      bytes: request(place, fields, { line, auth: null, body: place.body }),
      status: [401],
    },
    {
      name: "S1 token in a cookie",
      bytes: request(place, [...fields, `Cookie: token=${token}`], { auth: null, body: place.body }),
      status: [401],
    },
    {
      name: "S1 token twice",
      bytes: request(place, [...fields, `Authorization: Bearer ${token}`], { body: place.body }),
      status: [400],
    },
    {
      name: "S1 a path that nobody has, without a token",
      bytes: request(place, fields, { line: "POST /nothing HTTP/1.1", auth: null, body: place.body }),
      status: [401],
    },
  ];
}

function notHttp(): HostileRequest[] {
  const starts: [string, Uint8Array][] = [
    ["our own pipe protocol", latin1('BEEP\x10\0\0\0\0\0\0\0["hello",{}]\r\n\r\n')],
    ["newline JSON", latin1('{"command":"eval","payload":{"expression":"1"}}\n')],
    ["TLS", latin1("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n")],
    ["HTTP/2", latin1("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
    ["SSH", latin1("SSH-2.0-OpenSSH_9.6\r\n\r\n")],
    ["zeros", new Uint8Array(64 * 1024)],
    ["newlines", latin1("\n".repeat(1000))],
    ["empty lines", latin1("\r\n".repeat(1000))],
  ];
  return starts.map(([name, bytes]) => ({ name: `77 ${name}`, bytes, status: [400, 431, 505] }));
}
