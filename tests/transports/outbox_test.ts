import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../core/errors.ts";
import { encodeFrame } from "../../core/frames.ts";
import { Outbox } from "../../transports/outbox.ts";

function joined(chunks: readonly Uint8Array[]): string {
  return chunks.map((chunk) => chunk.toHex()).join("");
}

Deno.test("Outbox writes small frames side by side into one chunk", () => {
  const outbox = new Outbox(1_000_000);
  assert(outbox.isEmpty);
  const parts = [new Uint8Array([1, 2]), new Uint8Array(0)];
  outbox.addBytes(new Uint8Array([66]));
  outbox.addFrame("[1]", parts);
  outbox.addFrame('"ü"', []);
  assert(!outbox.isEmpty);
  const chunks = outbox.take();
  assertEquals(chunks.length, 1);
  assertEquals(joined(chunks), "42" + encodeFrame("[1]", parts).toHex() + encodeFrame('"ü"').toHex());
  assert(outbox.isEmpty);
  assertEquals(outbox.take(), []);
});

Deno.test("Outbox does not copy a large part, and keeps the order around it", () => {
  const outbox = new Outbox(1_000_000);
  const large = new Uint8Array(100_000).fill(7);
  outbox.addFrame("[1]", []);
  outbox.addFrame("[2]", [large, new Uint8Array([9])]);
  outbox.addFrame("[3]", []);
  const chunks = outbox.take();
  assert(chunks.some((chunk) => chunk.buffer === large.buffer));
  assertEquals(
    joined(chunks),
    encodeFrame("[1]").toHex() + encodeFrame("[2]", [large, new Uint8Array([9])]).toHex() +
      encodeFrame("[3]").toHex(),
  );
});

Deno.test("Outbox leaves what was taken alone while more is added", () => {
  const outbox = new Outbox(1_000_000);
  outbox.addFrame('"first"', []);
  const taken = outbox.take();
  const before = joined(taken);
  outbox.addFrame('"second"', []);
  assertEquals(joined(taken), before);
  assertEquals(joined(outbox.take()), encodeFrame('"second"').toHex());
});

Deno.test("Outbox takes more than its buffer holds", () => {
  const outbox = new Outbox(10_000_000);
  const texts = Array.from({ length: 3_000 }, (_, i) => JSON.stringify("ü".repeat(i % 97)));
  texts.push(JSON.stringify("x".repeat(1_000_000)), "[]");
  for (const text of texts) outbox.addFrame(text, []);
  assert(joined(outbox.take()) === texts.map((text) => encodeFrame(text).toHex()).join(""));
});

Deno.test("Outbox accepts a frame at the limit, and refuses one byte more without a trace", () => {
  const text = JSON.stringify("ü".repeat(100));
  const parts = [new Uint8Array(50)];
  const size = encodeFrame(text, parts).byteLength;
  const fits = new Outbox(size);
  fits.addFrame(text, parts);
  assertEquals(joined(fits.take()), encodeFrame(text, parts).toHex());
  const tooSmall = new Outbox(size - 1);
  const error = assertThrows(() => tooSmall.addFrame(text, parts), ProtocolError, `frame of ${size} bytes`);
  assertEquals([error.code, error.fault], ["limit", "local"]);
  assert(tooSmall.isEmpty);
});
