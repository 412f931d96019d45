/**
 * What goes wrong inside the contract (mapping, encoding, the registry). The fields are those of
 * `HeadraceError` in runtime/, so that both are treated alike without an import between the folders.
 */
export class ContractError extends Error {
  override readonly name = "ContractError";
  readonly code: ContractErrorCode;
  readonly kind: "retryable" | "poison" | "fatal";
  /** What the operator can do, one sentence. */
  readonly remedy: string;

  /** @param text what happened, and what to do; neither holds a document's value. */
  constructor(code: ContractErrorCode, text: { message: string; remedy: string }, cause?: unknown) {
    super(text.message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.kind = CONTRACT_ERRORS[code];
    this.remedy = text.remedy;
  }
}

/** Every code with its kind; the message and the remedy are given where it is thrown. */
const CONTRACT_ERRORS = {
  MAPPING_INVALID: "fatal",
  NAME_COLLISION: "fatal",
  ID_TYPE_MISMATCH: "poison",
  KEY_INVALID: "poison",
  DOCUMENT_UNENCODABLE: "poison",
  RECORD_UNDECODABLE: "poison",
  SCHEMA_REFUSED: "fatal",
  SCHEMA_UNKNOWN: "retryable",
  REGISTRY_UNAVAILABLE: "retryable",
  REGISTRY_UNEXPECTED: "fatal",
  POSITION_INVALID: "fatal",
} as const satisfies Record<string, "retryable" | "poison" | "fatal">;

export type ContractErrorCode = keyof typeof CONTRACT_ERRORS;
