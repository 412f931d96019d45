import { MemoryDeadLetters } from "../consumers/dead-letters/memory-dead-letters.ts";
import { describeDeadLetters } from "./dead-letters.ts";

describeDeadLetters("in memory", () => {
  const letters = new MemoryDeadLetters();
  return Promise.resolve({ reader: letters, writer: letters });
});
