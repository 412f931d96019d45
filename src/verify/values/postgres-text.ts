// Reads PostgreSQL's output texts without loss.

const TIMESTAMP = /^(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(?:\+00(?::00)?)?( BC)?$/;
const MS_PER_DAY = 86_400_000;

/** µs since 1970 of a date, timestamp or timestamptz in ISO style. The session's time zone must be UTC. */
export function microsecondsOf(text: string): bigint | undefined {
  const match = TIMESTAMP.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hours = "0", minutes = "0", seconds = "0", fraction = "", era] = match;
  const astronomicalYear = era === undefined ? Number(year) : 1 - Number(year);
  const days = daysSince1970(astronomicalYear, Number(month), Number(day));
  const ofDay = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds);
  return (BigInt(days) * 86_400n + BigInt(ofDay)) * 1_000_000n + BigInt(fraction.padEnd(6, "0"));
}

/** In the proleptic Gregorian calendar. PostgreSQL's dates go beyond the last year of JavaScript's Date, 275760. */
function daysSince1970(year: number, month: number, day: number): number {
  // The calendar repeats every 400 years, which have 146,097 days.
  const cycles = Math.floor(year / 400);
  const inCycle = Date.UTC(2000 + year - cycles * 400, month - 1, day) / MS_PER_DAY;
  return inCycle + (cycles - 5) * 146_097;
}

const ELEMENT = /"((?:[^"\\]|\\.)*)"|([^",{}]+)/sy;

/** The elements of a one-dimensional array, with null for NULL; undefined for any other text. */
export function arrayElements(text: string): readonly (string | null)[] | undefined {
  if (text === "{}") return [];
  const elements: (string | null)[] = [];
  let at = 0;
  do {
    ELEMENT.lastIndex = at + 1; // after { or ,
    const match = ELEMENT.exec(text);
    if (match === null) return undefined; // more dimensions, or explicit lower bounds
    const [, quoted, bare] = match;
    elements.push(quoted === undefined ? bareElement(bare) : quoted.replaceAll(/\\(.)/gs, "$1"));
    at = ELEMENT.lastIndex;
  } while (text[at] === ",");
  return text.startsWith("{") && at === text.length - 1 && text[at] === "}" ? elements : undefined;
}

function bareElement(text: string | undefined): string | null {
  return text === undefined || text === "NULL" ? null : text;
}
