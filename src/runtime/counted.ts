/** A number with its noun, for people: `1 minute`, `1,200 minutes`. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
