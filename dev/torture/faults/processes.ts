import { setTimeout as sleep } from "node:timers/promises";
import { between } from "../../../test/support/random.ts";
import type { Random } from "../../../test/support/random.ts";
import type { Fault, TortureContext } from "../fault.ts";
import type { Command, Fleet, Member } from "../fleet.ts";

const parts = { produce: "producer", consume: "consumer" } as const;
const commands: readonly Command[] = ["produce", "consume"];
/** Longer than the group's session timeout, so that frozen processes become zombies. */
const FROZEN_MS = [7_000, 14_000] as const;
/** How long a process may take to notice that another one has taken its place. */
const NOTICE_MS = 120_000;

/**
 * Starts a second producer; the first one has to end. If the first one was still starting, it may fence the second one
 * instead, which is then restarted.
 */
async function takeOver(fleet: Fleet, meanwhile: () => Promise<void>): Promise<void> {
  const first = fleet.main("produce");
  const second = fleet.replace("produce");
  first.expected = second.expected = "FENCED";
  await meanwhile();
  await fleet.endOf(first, NOTICE_MS);
  second.expected = undefined;
}

function ofEach(kind: string, inject: (context: TortureContext, command: Command, random: Random) => Promise<void>) {
  return commands.map((command): Fault => ({
    kind: `${kind} ${parts[command]}`,
    touches: [parts[command]],
    inject: (context, random) => inject(context, command, random),
  }));
}

export const processFaults: readonly Fault[] = [
  ...ofEach("kill", async ({ fleet }, command) => {
    await fleet.kill(fleet.main(command));
    fleet.replace(command);
  }),
  ...ofEach("kill repeatedly", async ({ fleet }, command, random) => {
    for (let times = between(random, 2, 6); times > 0; times--) {
      await fleet.kill(fleet.main(command));
      fleet.replace(command);
      await sleep(between(random, 300, 3_000));
    }
  }),
  ...ofEach("terminate", async ({ fleet }, command) => {
    await fleet.stop(fleet.main(command));
    fleet.replace(command);
  }),
  ...ofEach("freeze", async ({ fleet }, command, random) => {
    const { process } = fleet.main(command);
    process.freeze();
    try {
      await sleep(between(random, ...FROZEN_MS));
    } finally {
      process.thaw();
    }
  }),
  {
    kind: "replace frozen producer",
    touches: ["producer"],
    inject: async ({ fleet }, random) => {
      const zombie = fleet.main("produce");
      zombie.process.freeze();
      await takeOver(fleet, async () => {
        await sleep(between(random, ...FROZEN_MS));
        zombie.process.thaw();
      });
    },
  },
  {
    kind: "replace frozen consumer",
    touches: ["consumer"],
    inject: async ({ fleet }, random) => {
      const zombie = fleet.main("consume");
      zombie.process.freeze();
      try {
        fleet.replace("consume");
        await sleep(between(random, ...FROZEN_MS));
      } finally {
        zombie.process.thaw();
      }
      await sleep(between(random, 500, 5_000));
      await fleet.stop(zombie);
    },
  },
  {
    kind: "second producer",
    touches: ["producer"],
    inject: ({ fleet }) => takeOver(fleet, async () => {}),
  },
  {
    kind: "second consumer joins and leaves",
    touches: ["consumer"],
    inject: async ({ fleet }, random) => {
      const second = fleet.launch("consume");
      await sleep(between(random, 1_000, 10_000));
      await leave(fleet, second, random);
    },
  },
  {
    kind: "consumers come and go",
    touches: ["consumer"],
    inject: async ({ fleet }, random) => {
      const comeAndGo = async (): Promise<void> => {
        for (let times = between(random, 1, 4); times > 0; times--) {
          const member = fleet.launch("consume");
          await sleep(between(random, 500, 5_000));
          await leave(fleet, member, random);
        }
      };
      await Promise.all([comeAndGo(), comeAndGo()]);
    },
  },
];

function leave(fleet: Fleet, member: Member, random: Random): Promise<void> {
  return random() < 0.5 ? fleet.kill(member) : fleet.stop(member);
}
