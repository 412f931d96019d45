import Table from "cli-table3";

/** A table for people, with numbers aligned right. Without colours, because it may go to a file. */
export function textTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const colAligns = head.map((_, column) => (typeof rows[0]?.[column] === "number" ? "right" : "left"));
  const table = new Table({ head: [...head], colAligns, style: { head: [], border: [], compact: true } });
  for (const row of rows) table.push([...row]);
  return `${table.toString()}\n`;
}
