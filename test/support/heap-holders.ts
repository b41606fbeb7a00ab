/** Who in this process holds on to a text: read from a snapshot of the heap, so that no store is overlooked. */

import { text as readAll } from 'node:stream/consumers';
import { getHeapSnapshot } from 'node:v8';
import { LRUCache } from 'lru-cache';

interface Snapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: readonly string[];
      readonly node_types: readonly [readonly string[], ...unknown[]];
      readonly edge_fields: readonly string[];
      readonly edge_types: readonly [readonly string[], ...unknown[]];
    };
  };
  readonly nodes: readonly number[];
  readonly edges: readonly number[];
  readonly strings: readonly string[];
}

/** Objects that are part of whatever holds them: who holds them is asked in turn. The library's name for its class is another. */
const PARTS = new Set([
  'Object',
  'Array',
  'Map',
  'Set',
  'Promise',
  'Generator',
  'Error',
  'Function',
  'WeakRef',
  'Ed25519PeerId',
  'PeerId',
  LRUCache.name,
]);

export class HeapHolders {
  /** As things are now. */
  static async now(): Promise<HeapHolders> {
    return new HeapHolders(JSON.parse(await readAll(getHeapSnapshot())) as Snapshot);
  }

  readonly #strings: readonly string[];
  readonly #nodes: readonly number[];
  readonly #edges: readonly number[];
  readonly #nodeTypes: readonly string[];
  readonly #edgeTypes: readonly string[];
  readonly #size: number;
  readonly #edgeSize: number;
  /** Edges by the node to which they lead, as positions in the list of edges; and from where each comes. */
  readonly #firstTo: Uint32Array;
  readonly #edgesTo: Uint32Array;
  readonly #from: Uint32Array;

  private constructor({ snapshot: { meta }, nodes, edges, strings }: Snapshot) {
    this.#strings = strings;
    this.#nodes = nodes;
    this.#edges = edges;
    this.#nodeTypes = meta.node_types[0];
    this.#edgeTypes = meta.edge_types[0];
    this.#size = meta.node_fields.length;
    this.#edgeSize = meta.edge_fields.length;
    const countAt = meta.node_fields.indexOf('edge_count');
    const nodeCount = nodes.length / this.#size;
    const edgeCount = edges.length / this.#edgeSize;
    this.#firstTo = new Uint32Array(nodeCount + 1);
    this.#edgesTo = new Uint32Array(edgeCount);
    this.#from = new Uint32Array(edgeCount);
    for (let edge = 0; edge < edgeCount; edge++) this.#firstTo[this.#target(edge) + 1]! += 1;
    for (let node = 0; node < nodeCount; node++) this.#firstTo[node + 1]! += this.#firstTo[node]!;
    const next = this.#firstTo.slice();
    for (let node = 0, edge = 0; node < nodeCount; node++) {
      for (let left = nodes[node * this.#size + countAt] ?? 0; left > 0; left--, edge++) {
        this.#from[edge] = node;
        const target = this.#target(edge);
        this.#edgesTo[next[target]!++] = edge;
      }
    }
  }

  /**
   * Of each holder how many of `texts` it held, be it alone or as part of a longer text: `Class.field`, `variable name` or `function()`. What
   * only a weak reference leads to is held by nobody. Who asks must not have held the texts itself.
   */
  of(texts: ReadonlySet<string>): Map<string, number> {
    const held = new Map<string, Set<string>>();
    for (let node = 0; node < this.#firstTo.length - 1; node++) {
      if (this.#typeOf(node) !== 'string') continue;
      const found = [...texts].find((text) => this.#nameOf(node).includes(text));
      if (found === undefined) continue;
      for (const holder of this.#holdersOf(node)) {
        const some = held.get(holder) ?? new Set();
        held.set(holder, some.add(found));
      }
    }
    return new Map([...held].map(([holder, some]) => [holder, some.size]));
  }

  #holdersOf(held: number): Set<string> {
    const holders = new Set<string>();
    const seen = new Set([held]);
    for (const node of seen) {
      for (let at = this.#firstTo[node]!; at < this.#firstTo[node + 1]!; at++) {
        const edge = this.#edgesTo[at]!;
        const type = this.#edgeTypes[this.#edges[edge * this.#edgeSize]!];
        if (type === 'weak' || type === 'shortcut') continue;
        const from = this.#from[edge]!;
        const name = this.#nameOf(from);
        const kind = this.#typeOf(from);
        if (kind === 'synthetic') continue;
        if (kind === 'closure') holders.add(`${name}()`);
        else if (name === 'system / Context') holders.add(`variable ${this.#edgeName(edge, type)}`);
        else if (kind === 'object' && !PARTS.has(name)) holders.add(`${name}.${this.#edgeName(edge, type)}`);
        else seen.add(from);
      }
    }
    return holders;
  }

  #edgeName(edge: number, type: string | undefined): string {
    const name = this.#edges[edge * this.#edgeSize + 1]!;
    return type === 'element' || type === 'hidden' ? String(name) : (this.#strings[name] ?? '');
  }

  #target(edge: number): number {
    return this.#edges[edge * this.#edgeSize + 2]! / this.#size;
  }

  #typeOf(node: number): string {
    const type = this.#nodeTypes[this.#nodes[node * this.#size]!] ?? '';
    return type.endsWith('string') ? 'string' : type;
  }

  #nameOf(node: number): string {
    return this.#strings[this.#nodes[node * this.#size + 1]!] ?? '';
  }
}
