/**
 * Dates and times: Python's `datetime` module on one side, Temporal on the other.
 *
 * Python's unit is the microsecond; what is finer is refused rather than rounded.
 *
 * @module
 */

/** What {@linkcode temporalTag} gives for a value of Temporal, or for a `Date`. */
export type TemporalTag = readonly (string | number)[];

/** A date or time that Python cannot hold; the encoder adds where it is. */
export class TemporalRangeError extends RangeError {}

const MICROSECONDS_PER_DAY = 86_400_000_000n;
// Python's own limit on timedelta.
const MAX_DAYS = 999_999_999n;

/** The value of a tag from Python; undefined when `name` is none of these tags. */
export function fromTemporalTag(name: string, args: readonly unknown[]): unknown {
  switch (name) {
    case "datetime":
      return Temporal.PlainDateTime.from(text(args[0]));
    case "datetime_tz":
      return Temporal.ZonedDateTime.from(`${text(args[0])}[${text(args[1])}]`, { offset: "reject" });
    case "date":
      return Temporal.PlainDate.from(text(args[0]));
    case "time":
      return Temporal.PlainTime.from(text(args[0]));
    case "timedelta":
      return durationOf(args);
  }
  return undefined;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new RangeError("a date is not a string");
  return value;
}

function durationOf(parts: readonly unknown[]): Temporal.Duration {
  if (parts.length !== 3 || !parts.every(Number.isSafeInteger)) {
    throw new RangeError("a timedelta is not three integers");
  }
  const [days, seconds, microseconds] = (parts as number[]).map(BigInt) as [bigint, bigint, bigint];
  let rest = (days * 86_400n + seconds) * 1_000_000n + microseconds;
  // All fields of a duration have one sign, whereas Python keeps all but the days positive.
  const take = (unit: bigint): number => {
    const taken = rest / unit;
    rest -= taken * unit;
    return Number(taken);
  };
  return Temporal.Duration.from({
    days: take(MICROSECONDS_PER_DAY),
    hours: take(3_600_000_000n),
    minutes: take(60_000_000n),
    seconds: take(1_000_000n),
    milliseconds: take(1_000n),
    microseconds: take(1n),
  });
}

/**
 * The tag of a `Date` or of a value of Temporal; undefined for anything else. Throws a {@linkcode
 * TemporalRangeError}.
 */
export function temporalTag(value: object): TemporalTag | undefined {
  if (Object.prototype.toString.call(value) === "[object Date]") {
    // A new one: its methods are those of the language, and of this realm.
    return ["datetime_tz", isoOfDate(new Date(Date.prototype.getTime.call(value))), "UTC"];
  }
  if (typeof Temporal === "undefined" || !isTemporal(value)) return undefined;
  if (value instanceof Temporal.PlainDateTime) {
    return ["datetime", `${isoDate(value)}T${isoTime(value)}`];
  }
  if (value instanceof Temporal.ZonedDateTime) {
    return ["datetime_tz", `${isoDate(value)}T${isoTime(value)}${value.offset}`, value.timeZoneId];
  }
  if (value instanceof Temporal.Instant) {
    const moment = value.toZonedDateTimeISO("UTC");
    return ["datetime_tz", `${isoDate(moment)}T${isoTime(moment)}+00:00`, "UTC"];
  }
  if (value instanceof Temporal.PlainDate) return ["date", isoDate(value)];
  if (value instanceof Temporal.PlainTime) return ["time", isoTime(value)];
  if (value instanceof Temporal.Duration) return timedeltaTag(value);
  return undefined;
}

/** Whether it is of exactly one of the classes; a class that extends one may hold more. */
function isTemporal(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  const { PlainDateTime, ZonedDateTime, Instant, PlainDate, PlainTime, Duration } = Temporal;
  const classes = [PlainDateTime, ZonedDateTime, Instant, PlainDate, PlainTime, Duration];
  return classes.some((Class) => prototype === Class.prototype);
}

function isoOfDate(value: Date): string {
  const year = value.getUTCFullYear();
  if (Number.isNaN(year)) throw new TemporalRangeError("an invalid Date");
  if (year < 1 || year > 9999) throw new TemporalRangeError("a year outside 1 to 9999");
  // Python 3.9 reads three or six digits of a second, and no Z.
  return value.toISOString().replace(/\.000Z$|Z$/, "+00:00");
}

interface CalendarDate {
  readonly calendarId: string;
  readonly year: number;
}

function isoDate(value: CalendarDate & { toString(options: { calendarName: "never" }): string }): string {
  if (value.calendarId !== "iso8601") {
    throw new TemporalRangeError(`a date of calendar "${value.calendarId}"`);
  }
  if (value.year < 1 || value.year > 9999) throw new TemporalRangeError("a year outside 1 to 9999");
  return value.toString({ calendarName: "never" }).slice(0, 10);
}

interface ClockTime {
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millisecond: number;
  readonly microsecond: number;
  readonly nanosecond: number;
}

function isoTime(value: ClockTime): string {
  if (value.nanosecond !== 0) throw new TemporalRangeError("a time finer than microseconds");
  const two = (n: number) => String(n).padStart(2, "0");
  const fraction = value.millisecond * 1000 + value.microsecond;
  const clock = `${two(value.hour)}:${two(value.minute)}:${two(value.second)}`;
  return fraction === 0 ? clock : `${clock}.${String(fraction).padStart(6, "0")}`;
}

function timedeltaTag(value: Temporal.Duration): TemporalTag {
  if (value.years !== 0 || value.months !== 0) {
    throw new TemporalRangeError("a duration of years or months, which have no fixed length");
  }
  if (value.nanoseconds !== 0) throw new TemporalRangeError("a duration finer than microseconds");
  const days = BigInt(value.weeks) * 7n + BigInt(value.days);
  const seconds = BigInt(value.hours) * 3600n + BigInt(value.minutes) * 60n + BigInt(value.seconds);
  const total = days * MICROSECONDS_PER_DAY + seconds * 1_000_000n + BigInt(value.milliseconds) * 1000n +
    BigInt(value.microseconds);
  const rest = ((total % MICROSECONDS_PER_DAY) + MICROSECONDS_PER_DAY) % MICROSECONDS_PER_DAY;
  const wholeDays = (total - rest) / MICROSECONDS_PER_DAY;
  if (wholeDays > MAX_DAYS || wholeDays < -MAX_DAYS) {
    throw new TemporalRangeError("a duration beyond 999999999 days");
  }
  return ["timedelta", Number(wholeDays), Number(rest / 1_000_000n), Number(rest % 1_000_000n)];
}
