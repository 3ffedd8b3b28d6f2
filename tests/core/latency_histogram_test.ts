import { assert, assertEquals } from "@std/assert";
import { CallCounters } from "../../core/call_counters.ts";
import { LatencyHistogram } from "../../core/latency_histogram.ts";

Deno.test("LatencyHistogram tells percentiles to within a bucket", () => {
  const histogram = new LatencyHistogram();
  for (let ms = 1; ms <= 1000; ms++) histogram.record(ms);
  const { count, totalMs, maxMs, p50Ms, p90Ms, p99Ms, buckets } = histogram.summary;
  assertEquals([count, totalMs, maxMs], [1000, 500_500, 1000]);
  for (const [told, exact] of [[p50Ms, 500], [p90Ms, 900], [p99Ms, 990]] as const) {
    assert(told >= exact && told <= exact * 1.19, `${told} for ${exact}`);
  }
  assertEquals(buckets.reduce((sum, bucket) => sum + bucket.count, 0), 1000);
  assertEquals(buckets.toSorted((a, b) => a.upToMs - b.upToMs), buckets);
});

Deno.test("LatencyHistogram holds each duration in a bucket that reaches up to it", () => {
  for (const ms of [0.001, 0.0015, 0.03, 1, 16, 1234, 60_000, 2 ** 31 / 1000]) {
    const histogram = new LatencyHistogram();
    histogram.record(ms);
    const [bucket] = histogram.summary.buckets;
    assert(bucket!.upToMs >= ms * 0.999999 && bucket!.upToMs < ms * 1.2, `${ms} in ${bucket!.upToMs}`);
  }
});

Deno.test("LatencyHistogram takes durations of nothing and of more than its last bucket", () => {
  const histogram = new LatencyHistogram();
  assertEquals(histogram.summary, {
    count: 0,
    totalMs: 0,
    maxMs: 0,
    p50Ms: 0,
    p90Ms: 0,
    p99Ms: 0,
    buckets: [],
  });
  histogram.record(0);
  assertEquals(histogram.summary.p99Ms, 0);
  histogram.record(1e12);
  assertEquals(histogram.summary.p99Ms, 1e12);
  assertEquals(histogram.summary.buckets.map(({ count }) => count), [1, 1]);
});

Deno.test("CallCounters tells calls by how they ended, and those that have not", () => {
  const counters = new CallCounters();
  const started = [counters.begin(), counters.begin(), counters.begin(), counters.begin()];
  counters.end(started[0]!, "done");
  counters.end(started[1]!, "error");
  counters.end(started[2]!, "cancelled");
  counters.bytesSent += 5;
  const { calls, inFlight, errors, cancelled, bytesSent, bytesReceived, latency } = counters.statistics;
  assertEquals([calls, inFlight, errors, cancelled, bytesSent, bytesReceived], [4, 1, 1, 1, 5, 0]);
  assertEquals(latency.count, 3);
  assert(
    latency.totalMs >= latency.maxMs && latency.totalMs <= 3 * latency.maxMs,
    `${latency.totalMs} in all, ${latency.maxMs} at most`,
  );
});
