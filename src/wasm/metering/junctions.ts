/**
 * Where control goes from some metered blocks to one of several others, it always
 * comes to one of them: what the cheapest of these costs can as well be charged
 * by the blocks that lead there. No sum changes, nothing is charged that is not
 * going to be executed, and the cheapest block needs no charge of its own.
 */

import { IntList } from '../int-list.ts';

const none = -1;

/** Blocks at junctions, in chains by junction. */
class Members {
  readonly #junctions = new IntList();
  readonly blocks = new IntList();
  /** By junction, its last member; by member, the one before of the same junction. */
  #last = new Int32Array();
  #before = new Int32Array();

  clear(): void {
    this.#junctions.length = 0;
    this.blocks.length = 0;
  }

  add(junction: number, block: number): void {
    this.#junctions.push(junction);
    this.blocks.push(block);
  }

  /** Puts each member into the chain of the junction that its own has become. */
  chain(junctions: number, find: (junction: number) => number): void {
    if (this.#last.length < junctions) this.#last = new Int32Array(junctions * 2);
    if (this.#before.length < this.blocks.length) this.#before = new Int32Array(this.blocks.length * 2);
    this.#last.fill(none, 0, junctions);
    for (let member = 0; member < this.blocks.length; member++) {
      const junction = find(this.#junctions.at(member));
      this.#before[member] = this.#last[junction] as number;
      this.#last[junction] = member;
    }
  }

  lastOf(junction: number): number {
    return this.#last[junction] as number;
  }

  before(member: number): number {
    return this.#before[member] as number;
  }
}

/** The junctions of one function. */
export class Junctions {
  /** A junction that was joined to another points to it, which came before; one that was not, to itself. */
  readonly #joined = new IntList();
  /** Junctions (1) from where control may go to something that is not charged at its beginning. */
  readonly #open = new IntList();
  readonly #begins = new Members();
  readonly #leads = new Members();
  /** By block, the number of the junction for which it was last seen to lead there. */
  #marks = new Int32Array();
  #mark = 0;

  /** Forgets the function before. */
  clear(): void {
    this.#joined.length = 0;
    this.#open.length = 0;
    this.#begins.clear();
    this.#leads.clear();
  }

  add(): number {
    this.#joined.push(this.#joined.length);
    this.#open.push(0);
    return this.#joined.length - 1;
  }

  /** What leads to one of the junctions leads to the blocks that begin at either. */
  join(first: number, second: number): void {
    const one = this.#find(first);
    const other = this.#find(second);
    const kept = Math.min(one, other);
    this.#joined.set(Math.max(one, other), kept);
    if (this.#open.at(one) === 1 || this.#open.at(other) === 1) this.#open.set(kept, 1);
  }

  leaveOpen(junction: number): void {
    this.#open.set(this.#find(junction), 1);
  }

  /** The block is executed when, and only when, control comes from the junction. */
  begin(junction: number, block: number): void {
    this.#begins.add(junction, block);
  }

  /** Each time that the block is executed, control comes to the junction once. */
  lead(junction: number, block: number): void {
    this.#leads.add(junction, block);
  }

  /** Moves costs towards the start of the function. Late junctions come first, so that costs can move on. */
  settle(costs: Int32Array): void {
    const count = this.#joined.length;
    if (count === 0) return;
    if (this.#marks.length < costs.length) {
      this.#marks = new Int32Array(costs.length * 2);
      this.#mark = 0;
    }
    const find = (junction: number): number => this.#find(junction);
    this.#begins.chain(count, find);
    this.#leads.chain(count, find);
    for (let junction = count - 1; junction >= 0; junction--) {
      if (this.#joined.at(junction) === junction && this.#open.at(junction) === 0) this.#move(junction, costs);
    }
  }

  #move(junction: number, costs: Int32Array): void {
    const begins = this.#begins;
    const leads = this.#leads;
    if (begins.lastOf(junction) === none || leads.lastOf(junction) === none) return;
    this.#mark++;
    for (let member = leads.lastOf(junction); member !== none; member = leads.before(member)) {
      this.#marks[leads.blocks.at(member)] = this.#mark;
    }
    let least = Number.POSITIVE_INFINITY;
    for (let member = begins.lastOf(junction); member !== none; member = begins.before(member)) {
      const block = begins.blocks.at(member);
      // A block that leads to where it begins would get back what it gives.
      if (this.#marks[block] !== this.#mark) least = Math.min(least, costs[block] as number);
    }
    if (least === 0 || least === Number.POSITIVE_INFINITY) return;
    for (let member = begins.lastOf(junction); member !== none; member = begins.before(member)) {
      addTo(costs, begins.blocks.at(member), -least);
    }
    for (let member = leads.lastOf(junction); member !== none; member = leads.before(member)) {
      addTo(costs, leads.blocks.at(member), least);
    }
  }

  #find(junction: number): number {
    let root = junction;
    while (this.#joined.at(root) !== root) {
      // Halves the way for the next time.
      const next = this.#joined.at(this.#joined.at(root));
      this.#joined.set(root, next);
      root = next;
    }
    return root;
  }
}

function addTo(costs: Int32Array, block: number, units: number): void {
  costs[block] = (costs[block] as number) + units;
}
