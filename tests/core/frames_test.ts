import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ProtocolError } from "../../core/errors.ts";
import {
  encodeFrame,
  encodeFrameHead,
  encodeFrameHeadInto,
  type Frame,
  FrameDecoder,
  MAX_FRAME_PARTS,
  maxFrameHeadBytes,
} from "../../core/frames.ts";
import golden from "../golden/frames.json" with { type: "json" };

function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(text);
}

function decodeAll(bytes: Uint8Array, sizes: () => number, maxFrameBytes?: number): Frame[] {
  const decoder = new FrameDecoder(maxFrameBytes);
  const frames: Frame[] = [];
  for (let offset = 0; offset < bytes.byteLength;) {
    const size = sizes();
    frames.push(...decoder.push(bytes.subarray(offset, offset + size)));
    offset += size;
  }
  assert(decoder.isAtBoundary, "the stream ends between two frames");
  return frames;
}

function concatenate(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return all;
}

/** A generator of numbers that is the same in every run (mulberry32). */
function randomNumbers(seed: number): () => number {
  return () => {
    seed = (seed + 0x6D2B79F5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

for (const { name, json, parts, bytes } of golden.frames) {
  Deno.test(`encodeFrame() writes the golden bytes: ${name}`, () => {
    assertEquals(encodeFrame(json, parts.map(hex)).toHex(), bytes);
  });

  Deno.test(`encodeFrameHeadInto() writes the same head anywhere in a buffer: ${name}`, () => {
    const binary = parts.map(hex);
    const buffer = new Uint8Array(7 + maxFrameHeadBytes(json, binary)).fill(0xaa);
    const size = encodeFrameHeadInto(json, binary, buffer.subarray(7));
    assertEquals(buffer.subarray(7, 7 + size), encodeFrameHead(json, binary));
    assertEquals(buffer.subarray(0, 7), new Uint8Array(7).fill(0xaa));
  });

  Deno.test(`case 80: FrameDecoder reads the golden bytes one by one: ${name}`, () => {
    const [frame, ...rest] = decodeAll(hex(bytes), () => 1);
    assertEquals(rest, []);
    assertEquals(frame!.json, json);
    assertEquals(frame!.parts.map((part) => part.toHex()), parts);
  });
}

Deno.test("FrameDecoder reads many frames from one chunk", () => {
  const frames = decodeAll(hex(golden.frames.map(({ bytes }) => bytes).join("")), () => Infinity);
  assertEquals(frames.map(({ json }) => json), golden.frames.map(({ json }) => json));
});

Deno.test("FrameDecoder reads frames of all sizes cut at random places", () => {
  const random = randomNumbers(20_261_122);
  const sent: { json: string; parts: Uint8Array[] }[] = [];
  for (let i = 0; i < 60; i++) {
    const size = Math.floor(random() ** 4 * 200_000);
    const parts = Array.from({ length: Math.floor(random() * 4) }, () => {
      return new Uint8Array(Math.floor(random() ** 3 * 150_000)).fill(Math.floor(random() * 256));
    });
    sent.push({ json: JSON.stringify("ü".repeat(size)), parts });
  }
  const bytes = concatenate(sent.map(({ json, parts }) => encodeFrame(json, parts)));
  const received = decodeAll(bytes, () => 1 + Math.floor(random() ** 3 * 100_000));
  assertEquals(received.length, sent.length);
  for (const [i, { json, parts }] of sent.entries()) {
    assert(received[i]!.json === json, `JSON of frame ${i}`);
    assertEquals(received[i]!.parts.map((part) => part.byteLength), parts.map((part) => part.byteLength));
    for (const [j, part] of parts.entries()) {
      assert(received[i]!.parts[j]!.every((byte) => byte === part[0]), `part ${j} of frame ${i}`);
    }
  }
});

Deno.test("FrameDecoder keeps what it has given when its buffer is used again", () => {
  const decoder = new FrameDecoder();
  const first = [...decoder.push(encodeFrame("1", [new Uint8Array([1, 2, 3])]))][0]!;
  for (let i = 0; i < 10_000; i++) for (const _ of decoder.push(encodeFrame("[0,0,0,0,0,0,0,0,0,0]")));
  assertEquals(first, { json: "1", parts: [new Uint8Array([1, 2, 3])] });
  assertEquals(first.parts[0]!.buffer.byteLength, 3, "a part has a buffer of its own");
});

Deno.test("FrameDecoder lets a large part be read straight into its final memory", () => {
  const decoder = new FrameDecoder();
  const part = new Uint8Array(3_000_000).fill(7);
  const bytes = encodeFrame("[]", [part]);
  const head = bytes.subarray(0, 100);
  assertEquals([...decoder.push(head)], []);
  const target = decoder.target();
  const headBytes = bytes.byteLength - part.byteLength;
  assertEquals(target.byteLength, part.byteLength - (100 - headBytes));
  target.set(bytes.subarray(100));
  decoder.advance(target.byteLength);
  const frame = decoder.next()!;
  assert(frame.parts[0]!.buffer === target.buffer, "no copy was made");
  assert(frame.parts[0]!.every((byte) => byte === 7));
  assert(decoder.isAtBoundary);
});

Deno.test("FrameDecoder reads a part only as far as it goes, and then the next frame", () => {
  const decoder = new FrameDecoder();
  const bytes = encodeFrame("[]", [new Uint8Array(100_000)]);
  const given = [...decoder.push(bytes.subarray(0, 50_000))];
  assertEquals(given.length, 0);
  assertEquals(decoder.target().byteLength, bytes.byteLength - 50_000);
  assertEquals(
    [...decoder.push(concatenate([bytes.subarray(50_000), encodeFrame('"next"')]))].map((f) => f.json),
    [
      "[]",
      '"next"',
    ],
  );
});

for (const { name, bytes, maxFrameBytes } of golden.limits) {
  Deno.test(`FrameDecoder refuses before it takes memory: ${name}`, () => {
    const decoder = new FrameDecoder(maxFrameBytes);
    const error = assertThrows(() => [...decoder.push(hex(bytes))], ProtocolError);
    assertEquals(error.code, "limit");
    assertEquals(error.fault, "remote");
    // It stays refused: what follows has no meaning any more.
    assertThrows(() => decoder.next(), ProtocolError);
  });
}

for (const { name, bytes } of golden.malformed) {
  Deno.test(`FrameDecoder refuses ${name}`, () => {
    const error = assertThrows(() => [...new FrameDecoder().push(hex(bytes))], ProtocolError);
    assertEquals(error.code, "protocol");
    assertInstanceOf(error.cause, TypeError);
  });
}

Deno.test("FrameDecoder accepts a frame at the limit and refuses one byte more", () => {
  const frame = encodeFrame("[1]", [new Uint8Array(10)]);
  assertEquals(decodeAll(frame, () => Infinity, frame.byteLength).length, 1);
  assertThrows(() => [...new FrameDecoder(frame.byteLength - 1).push(frame)], ProtocolError);
});

Deno.test("FrameDecoder takes the most parts that are allowed", () => {
  const parts = Array.from({ length: MAX_FRAME_PARTS }, () => new Uint8Array(0));
  const [frame] = decodeAll(encodeFrame("[]", parts), () => 50_000);
  assertEquals(frame!.parts.length, MAX_FRAME_PARTS);
});

Deno.test("case 78: FrameDecoder takes no memory for a length that only claims to be large", () => {
  const decoder = new FrameDecoder();
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setUint32(0, 200_000_000, true);
  assertEquals([...decoder.push(prefix)], []);
  assertEquals([...decoder.push(new Uint8Array(1000).fill(0x20))], []);
  assert(decoder.target().buffer.byteLength <= 64 * 1024);
});

Deno.test("FrameDecoder copies a large text a bounded number of times", () => {
  const bytes = encodeFrame(JSON.stringify("x".repeat(8_000_000)));
  const decoder = new FrameDecoder();
  const buffers = new Set<ArrayBuffer>();
  let frame: Frame | null = null;
  for (let offset = 0; offset < bytes.byteLength;) {
    const target = decoder.target();
    buffers.add(target.buffer);
    const count = Math.min(100_000, target.byteLength, bytes.byteLength - offset);
    target.set(bytes.subarray(offset, offset + count));
    offset += count;
    decoder.advance(count);
    frame = decoder.next();
  }
  assertEquals(frame?.json.length, 8_000_002);
  assert(buffers.size <= 6, `the buffer grew ${buffers.size} times`);
});

Deno.test("FrameDecoder.isAtBoundary is false wherever a stream is cut inside a frame", () => {
  const bytes = encodeFrame("[1]", [new Uint8Array([1, 2])]);
  const decoder = new FrameDecoder();
  assert(decoder.isAtBoundary);
  for (let i = 0; i < bytes.byteLength - 1; i++) {
    assertEquals([...decoder.push(bytes.subarray(i, i + 1))], []);
    assert(!decoder.isAtBoundary, `after byte ${i}`);
  }
  assertEquals([...decoder.push(bytes.subarray(-1))].length, 1);
  assert(decoder.isAtBoundary);
});
