import { BsonType } from "../formats/bson-reader.ts";
import { type ElementIndex, hashName } from "./element-index.ts";

const NOWHERE = -1;

/** One step of a declared path: a field's name. */
export class PathNode {
  readonly name: Buffer;
  readonly hash: number;
  /** The number in the tree, from 1. In the index, it marks the node as the owner of an element. */
  readonly number: number;
  /** In the order in which they were declared. */
  readonly children: PathNode[] = [];
  readonly #childrenByHash = new Map<number, PathNode[]>();

  // About the current document:
  /** The field's element in the index. */
  element = NOWHERE;
  /** The elements of the sub-document, if declared paths lead into it. */
  firstElement = NOWHERE;
  endElement = NOWHERE;
  /** Whether a column holds the whole field. */
  isHeld = false;

  constructor(name: string, number: number) {
    this.name = Buffer.from(name);
    this.hash = hashName(this.name);
    this.number = number;
  }

  get isPresent(): boolean {
    return this.element !== NOWHERE;
  }

  /** Whether the index contains the elements of the sub-document. */
  get isOpen(): boolean {
    return this.firstElement !== NOWHERE;
  }

  addChild(child: PathNode): void {
    this.children.push(child);
    this.#childrenByHash.set(child.hash, [...(this.#childrenByHash.get(child.hash) ?? []), child]);
  }

  childOf(bytes: Buffer, nameStart: number, hash: number): PathNode | undefined {
    return this.#childrenByHash.get(hash)?.find((child) => child.isNamed(bytes, nameStart, hash));
  }

  isNamed(bytes: Buffer, nameStart: number, hash: number): boolean {
    const name = this.name;
    if (this.hash !== hash || bytes[nameStart + name.length] !== 0) return false;
    for (let index = 0; index < name.length; index++) if (bytes[nameStart + index] !== name[index]) return false;
    return true;
  }

  forget(): void {
    this.element = NOWHERE;
    this.firstElement = NOWHERE;
    this.endElement = NOWHERE;
    this.isHeld = false;
  }
}

/** The declared paths of a collection. Finds their fields in a document in one pass. */
export class PathTree {
  readonly root = new PathNode("", 0);
  readonly #nodes: PathNode[] = [this.root];

  /** Adds a path and returns the node at its end. No declared path is the beginning of another one. */
  add(path: readonly string[]): PathNode {
    let node = this.root;
    for (const name of path)
      node = node.children.find((child) => child.name.equals(Buffer.from(name))) ?? this.#addChild(node, name);
    return node;
  }

  nodeOf(number: number): PathNode {
    return this.#nodes[number] as PathNode;
  }

  /** Indexes the document and each sub-document that paths lead into, and connects nodes with elements. */
  locate(bytes: Buffer, start: number, end: number, index: ElementIndex): void {
    for (const node of this.#nodes) node.forget();
    this.#open(this.root, bytes, start, end, index);
  }

  #addChild(parent: PathNode, name: string): PathNode {
    const child = new PathNode(name, this.#nodes.length);
    this.#nodes.push(child);
    parent.addChild(child);
    return child;
  }

  #open(node: PathNode, bytes: Buffer, start: number, end: number, index: ElementIndex): void {
    node.firstElement = index.push(bytes, start, end);
    node.endElement = index.top;
    // Most documents have their fields in the same order, and most columns are declared in that order.
    let expected = 0;
    for (let element = node.firstElement; element < node.endElement; element = index.next(element)) {
      if (index.isDropped(element)) continue;
      const nameStart = index.nameStart(element);
      const hash = index.hash(element);
      const next = node.children[expected];
      const child = next?.isNamed(bytes, nameStart, hash) === true ? next : node.childOf(bytes, nameStart, hash);
      if (child === undefined) continue;
      if (child === next) expected++;
      index.setOwner(element, child.number);
      child.element = element;
      if (child.children.length > 0 && bytes[nameStart - 1] === BsonType.document) {
        this.#open(child, bytes, index.valueStart(element), index.valueEnd(element), index);
      }
    }
  }
}
