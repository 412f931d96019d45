import { describe, expect, test } from "vitest";
import { decide } from "../../../src/consumers/register/decide.ts";
import type { RegisteredTable, TableFacts, TopicFacts, WantedTable } from "../../../src/consumers/register/facts.ts";

const WANTED: WantedTable = {
  pipeline: "p",
  database: "shop",
  collection: "things",
  topic: "p.shop.things",
  table: { schema: "public", table: "things" },
  columns: ["n", "_extra"],
  children: ['"public"."things_items"'],
};

const REGISTERED: RegisteredTable = {
  pipeline: "p",
  database: "shop",
  collection: "things",
  topic: "p.shop.things",
  topicId: "id 1",
  oid: "1000",
  fileNode: "2000",
  registerOid: "7",
  copySignal: null,
  isLeft: false,
};

const FACTS: TableFacts = {
  relation: '"public"."things"',
  registered: REGISTERED,
  oid: "1000",
  fileNode: "2000",
  registerOid: "7",
  rules: [],
  hasOldRows: false,
  lostColumns: [],
  lostChildren: [],
  haveChildrenChanged: false,
  hasForeignRows: false,
  hasProgress: true,
  isFilled: true,
  otherRelations: [],
  otherTopicId: null,
};

const TOPIC: TopicFacts = { topicId: "id 1", signalsEnd: 10n };

interface Case {
  readonly registered?: Partial<RegisteredTable> | null;
  readonly facts?: Partial<TableFacts>;
  readonly topic?: Partial<TopicFacts>;
  readonly onRecordsLost?: "fail" | "resnapshot";
}

/** The decision's kind, with the code of a refusal. */
function decided({ registered = {}, facts = {}, topic = {}, onRecordsLost = "fail" }: Case): string {
  const known = registered === null ? null : { ...REGISTERED, ...registered };
  const decision = decide(WANTED, { ...FACTS, ...facts, registered: known }, { ...TOPIC, ...topic }, onRecordsLost);
  return decision.kind === "refuse" ? decision.error.code : decision.kind;
}

/** The same topic is written into another table. */
const OTHER = { otherRelations: ['"public"."other"'], otherTopicId: "id 2" };
const NEW = { hasProgress: false, isFilled: false, oid: null, fileNode: null };

describe("a table that the register has", () => {
  test.each<[string, Case, string]>([
    ["nothing has changed", {}, "same"],
    ["the table does not exist yet", { registered: { oid: null, fileNode: null }, facts: NEW }, "same"],
    ["the table was created since", { registered: { oid: null, fileNode: null } }, "accept"],
    ["the table has a rule", { facts: { rules: ["swallow"] } }, "TABLE_DOES_NOT_FIT"],
    ["the table was dropped", { facts: { oid: null, fileNode: null } }, "TABLE_DROPPED"],
    [
      "the table was dropped after the config had another one",
      { registered: { isLeft: true }, facts: { oid: null, fileNode: null } },
      "copy",
    ],
    ["another table has its name", { facts: { oid: "1001", fileNode: "2001" } }, "copy"],
    [
      "it was restored together with the register",
      { facts: { oid: "1001", fileNode: "2001", registerOid: "8", hasOldRows: true } },
      "accept",
    ],
    ["it was restored without its rows", { facts: { oid: "1001", fileNode: "2001", registerOid: "8" } }, "copy"],
    ["a column was dropped", { facts: { lostColumns: ["n"] } }, "COLUMN_DROPPED"],
    ["a column was dropped that the config no longer has", { facts: { lostColumns: ["old"] } }, "same"],
    [
      "a column was dropped, and the collection is to be copied anyway",
      { registered: { isLeft: true }, facts: { lostColumns: ["n"] } },
      "copy",
    ],
    ["it was rewritten, with its rows", { facts: { fileNode: "2001", hasOldRows: true } }, "accept"],
    ["it was truncated", { facts: { fileNode: "2001", hasOldRows: false } }, "copy"],
    ["a copy is on its way", { registered: { copySignal: 9n } }, "same"],
    [
      "the signals topic was created again, and with it the request is gone",
      { registered: { copySignal: 10n } },
      "copy",
    ],
    ["the config had another table meanwhile", { registered: { isLeft: true } }, "copy"],
    [
      "the config had another table meanwhile, and the topic was created again and read into that one",
      { registered: { isLeft: true }, facts: OTHER, topic: { topicId: "id 2" } },
      "copy",
    ],
    [
      "the config had another table meanwhile, and the topic was created again since",
      { registered: { isLeft: true }, facts: { ...OTHER, otherTopicId: "id 1" }, topic: { topicId: "id 2" } },
      "TOPIC_RECREATED",
    ],
    [
      "nothing is written into it any more, and the topic was created again",
      { registered: { isLeft: true }, topic: { topicId: "id 2" } },
      "TOPIC_RECREATED",
    ],
    ["it belongs to another pipeline", { registered: { pipeline: "q" } }, "TABLE_OF_OTHER_PIPELINE"],
    [
      "it belongs to another pipeline, and the topic is gone",
      { registered: { pipeline: "q" }, topic: { topicId: undefined } },
      "TABLE_OF_OTHER_PIPELINE",
    ],
    ["it holds another database", { registered: { database: "old" } }, "TABLE_OF_OTHER_SOURCE"],
    ["it holds another collection", { registered: { collection: "users" } }, "TABLE_OF_OTHER_SOURCE"],
    ["the topic is gone", { topic: { topicId: undefined } }, "TOPIC_DELETED"],
    ["the topic is gone, and may be made anew", { topic: { topicId: undefined }, onRecordsLost: "resnapshot" }, "wait"],
    [
      "it was taken over, and its topic does not exist yet",
      { registered: { topicId: null }, facts: { hasProgress: false }, topic: { topicId: undefined } },
      "same",
    ],
    ["the topic was created again", { topic: { topicId: "id 2" } }, "TOPIC_RECREATED"],
    [
      "the topic was created again, and may be read anew",
      { topic: { topicId: "id 2" }, onRecordsLost: "resnapshot" },
      "reread",
    ],
    ["the brokers give no ids any more", { topic: { topicId: null } }, "accept"],
    ["the brokers give ids since", { registered: { topicId: null } }, "accept"],
  ])("%s", (_, given, expected) => {
    expect(decided(given)).toBe(expected);
  });
});

describe("a table that the register does not have", () => {
  test.each<[string, Case, string]>([
    ["a new pipeline", { facts: NEW }, "register"],
    ["a new pipeline before its topics", { facts: NEW, topic: { topicId: undefined } }, "same"],
    ["a new pipeline into an empty table", { facts: { ...NEW, oid: "1000", fileNode: "2000" } }, "register"],
    ["a new pipeline into a table that has rows", { facts: { ...NEW, oid: "1000", hasForeignRows: true } }, "copy"],
    ["version 0.1.0 has filled it", {}, "register"],
    ["version 0.1.0 has filled it, and it was dropped", { facts: { oid: null } }, "TABLE_DROPPED"],
    ["version 0.1.0 has filled it, and its topic is gone", { topic: { topicId: undefined } }, "TOPIC_DELETED"],
    ["version 0.1.0 has filled another one", { facts: { isFilled: false } }, "copy"],
    [
      "the pipeline fills another one, and the topic was created again since",
      { facts: { ...NEW, ...OTHER }, topic: { topicId: "id 3" } },
      "TOPIC_RECREATED",
    ],
    ["the pipeline fills another one", { facts: { ...NEW, otherRelations: ['"public"."old"'] } }, "copy"],
  ])("%s", (_, given, expected) => {
    expect(decided({ ...given, registered: null })).toBe(expected);
  });
});
