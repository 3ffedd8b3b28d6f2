/** The pure parts that handle a server's output: the ring and the search for the ready line. */

import { assertEquals } from "@std/assert";
import { OutputRing } from "../../servers/output_ring.ts";
import { ReadyScanner } from "../../servers/ready_line.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

Deno.test("OutputRing keeps the last bytes, however they come", () => {
  const text = Array.from({ length: 400 }, (_, i) => `${i};`).join("");
  for (const capacity of [1, 2, 7, 100, 5000, 10_000]) {
    for (const size of [1, 3, 99, 100, 101, 6000]) {
      const ring = new OutputRing(capacity);
      for (let at = 0; at < text.length; at += size) ring.push(encode(text.slice(at, at + size)));
      const dropped = Math.max(0, text.length - capacity);
      assertEquals(
        ring.captured,
        { text: text.slice(dropped), droppedBytes: dropped },
        `${capacity} by ${size}`,
      );
    }
  }
});

Deno.test("OutputRing gives the last lines", () => {
  const ring = new OutputRing();
  assertEquals(ring.tail(), "");
  ring.push(encode("one\ntwo\nthree\n"));
  assertEquals(ring.tail(2), "two\nthree");
  assertEquals(ring.tail(9, 4), "ree");
});

Deno.test("ReadyScanner finds the line in chunks of any size, and gives back all else", () => {
  const text = `before beep-host-ready x {}\nbeep-host-ready 00ff {"pid":1}\nafter\n`;
  for (let size = 1; size <= text.length; size++) {
    const scanner = new ReadyScanner("00ff");
    let output = "";
    const found: string[] = [];
    for (let at = 0; at < text.length; at += size) {
      const scan = scanner.push(encode(text.slice(at, at + size)));
      output += decode(scan.output);
      if (scan.ready !== undefined) found.push(scan.ready);
    }
    output += decode(scanner.end());
    assertEquals(found, [`{"pid":1}`], `chunks of ${size}`);
    assertEquals(output, "before beep-host-ready x {}\nafter\n");
  }
});

Deno.test("ReadyScanner gives back what it held when the stream ends", () => {
  const scanner = new ReadyScanner("00ff");
  const output = decode(scanner.push(encode("beep-host-ready 00f")).output);
  assertEquals(output + decode(scanner.end()), "beep-host-ready 00f");
});

Deno.test("ReadyScanner does not wait for the end of an endless line", () => {
  const scanner = new ReadyScanner("00ff");
  const { ready } = scanner.push(encode(`beep-host-ready 00ff ${"x".repeat(100_000)}`));
  assertEquals(ready?.length, 100_000);
});
