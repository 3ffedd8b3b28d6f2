/** Random input that can be made again: each case from the seed and its own number alone. */

/** The seed of this run; a failure prints it. */
export const SEED: number = Number(Deno.env.get("BEEP_FUZZ_SEED") ?? Date.now() % 2 ** 31);
/** The number of the first case: that of a failure, or where a run that was stopped goes on. */
export const FIRST: number = Number(Deno.env.get("BEEP_FUZZ_FIRST") ?? 0);

/** How many cases there are: `usual` in the gate, `BEEP_FUZZ_SCALE` times as many in a longer run. */
export function countOf(usual: number): number {
  return Math.round(usual * Number(Deno.env.get("BEEP_FUZZ_SCALE") ?? 1));
}

/** Gives integers from 0 up to below a limit. */
export type Below = (limit: number) => number;

/** The random numbers of one case: mulberry32, small and good enough to break things. */
export function randomOf(number: number): Below {
  let state = Math.imul(SEED ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(number + 1, 0xc2b2ae35);
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const INTERESTING = [
  0,
  1,
  0x0a,
  0x0d,
  0x20,
  0x22,
  0x24,
  0x2c,
  0x3a,
  0x5b,
  0x5d,
  0x7b,
  0x7d,
  0x7f,
  0x80,
  0xed,
  0xff,
];
const LENGTHS = [0, 1, 0xffff, 0x10000, 0x7fffffff, 0xffffffff];

/** `bytes` with one to four things broken, with pieces of `pieces` put in. */
export function mutate(bytes: Uint8Array, below: Below, pieces: readonly Uint8Array[]): Uint8Array {
  let made = [...bytes];
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(made.length + 1);
    switch (below(7)) {
      case 0:
        if (at < made.length) made[at] = below(256);
        break;
      case 1:
        if (at < made.length) made[at] = INTERESTING[below(INTERESTING.length)]!;
        break;
      case 2:
        made = made.slice(0, at);
        break;
      case 3:
        made.splice(at, 1 + below(8));
        break;
      case 4:
        made.splice(at, 0, INTERESTING[below(INTERESTING.length)]!);
        break;
      case 5: {
        const length = LENGTHS[below(LENGTHS.length)]!;
        made.splice(at, 4, length & 255, (length >>> 8) & 255, (length >>> 16) & 255, length >>> 24);
        break;
      }
      case 6: {
        const other = pieces[below(pieces.length)]!;
        const from = below(other.length + 1);
        made.splice(at, 0, ...other.subarray(from, from + 1 + below(40)));
      }
    }
  }
  return Uint8Array.from(made);
}
