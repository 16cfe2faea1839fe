/**
 * Valid modules that nobody wrote, from a seed, thousands in a second: nested
 * blocks, loops that end, branches of every kind out of everywhere, calls,
 * recursion, tail calls, exceptions old and new, memory and table instructions.
 * Each loop counts its turns and all calls share a budget, so that everything
 * ends.
 */

import { sectionIds } from '../../src/wasm/layout.ts';
import { ByteWriter } from '../../src/wasm/writer.ts';

type ValueType = 'i32' | 'i64' | 'f64';
interface Signature {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}
interface Label {
  /** What a branch to it carries. */
  readonly types: readonly ValueType[];
}

const typeCodes = { i32: 0x7f, i64: 0x7e, f64: 0x7c } as const;
const valueTypes = ['i32', 'i64', 'f64'] as const;
const emptyType = 0x40;
const imports: readonly Signature[] = [
  { parameters: ['i32'], results: [] },
  { parameters: ['i64', 'i32'], results: ['i32'] },
];
/** Globals: the budget, and one of each type. */
const globals = { budget: 0, i32: 1, i64: 2, f64: 3 } as const;
/** Calls that an exported function may make, of whatever depth. */
const budget = 40;
const turnsMost = 5;
const functionsMost = 7;
const depthMost = 4;
const valueDepthMost = 2;

/** Numbers that depend on the seed alone (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = Math.imul(seed + 1, 0x9e3779b1);
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

export function randomModule(seed: number): Uint8Array<ArrayBuffer> {
  return new ModuleMaker(seed).make();
}

class ModuleMaker {
  readonly random: (below: number) => number;
  readonly signatures: readonly Signature[];
  /** Whether functions may use try_table, or try, or neither. */
  readonly exceptions: 'new' | 'old' | 'none';
  readonly exported: readonly boolean[];

  constructor(seed: number) {
    this.random = randomOf(seed);
    this.exceptions = (['new', 'old', 'none', 'none'] as const)[this.random(4)] ?? 'none';
    const count = 1 + this.random(functionsMost);
    this.signatures = Array.from({ length: count }, () => ({
      parameters: this.types(3),
      results: this.types(2),
    }));
    this.exported = this.signatures.map((_, place) => place === 0 || this.random(3) === 0);
  }

  types(most: number): readonly ValueType[] {
    return Array.from({ length: this.random(most + 1) }, () => this.type());
  }

  type(): ValueType {
    return valueTypes[this.random(valueTypes.length)] ?? 'i32';
  }

  make(): Uint8Array<ArrayBuffer> {
    const writer = new ByteWriter().u8(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    const all = [...imports, ...this.signatures];
    const exported = this.signatures.filter((_, place) => this.exported[place]);
    writer.section(sectionIds.type, (to) => {
      to.vector([...all, { parameters: ['i32'], results: [] } satisfies Signature], (signature, item) => {
        item.u8(0x60).vector(signature.parameters, writeType).vector(signature.results, writeType);
      });
    });
    writer.section(sectionIds.import, (to) => {
      to.vector(imports, (_, item) =>
        item
          .name('host')
          .name(`log${imports.indexOf(_)}`)
          .u8(0)
          .unsigned(imports.indexOf(_)),
      );
    });
    writer.section(sectionIds.function, (to) => {
      to.vector([...this.signatures, ...exported], (signature, item) => item.unsigned(all.indexOf(signature)));
    });
    writer.section(sectionIds.table, (to) => to.u8(1, 0x70, 1, 6, 12));
    writer.section(sectionIds.memory, (to) => to.u8(1, 1, 1, 3));
    if (this.exceptions !== 'none') writer.section(sectionIds.tag, (to) => to.u8(1, 0).unsigned(all.length));
    writer.section(sectionIds.global, (to) => {
      to.u8(4, 0x7f, 1, 0x41).signed(budget).u8(0x0b);
      to.u8(0x7f, 1, 0x41, 7, 0x0b, 0x7e, 1, 0x42, 9, 0x0b, 0x7c, 1, 0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x0b);
    });
    writer.section(sectionIds.export, (to) => {
      const entries = exported.map((_, place) => [`f${place}`, 0, all.length + place] as const);
      const others = [['inner', 0, imports.length] as const, ['memory', 2, 0] as const];
      to.vector([...entries, ...others], ([name, kind, index], item) => item.name(name).u8(kind).unsigned(index));
    });
    writer.section(sectionIds.element, (to) => {
      const members = Array.from({ length: 5 }, () => this.random(all.length));
      to.u8(1, 0, 0x41, 0, 0x0b).vector(members, (member, item) => item.unsigned(member));
    });
    writer.section(sectionIds.dataCount, (to) => to.u8(1));
    writer.section(sectionIds.code, (to) => {
      const bodies = this.signatures.map((signature) => new BodyMaker(this, signature, all).make());
      const entries = exported.map((signature) => entryBody(signature, all.indexOf(signature)));
      to.vector([...bodies, ...entries], (body, item) => item.sized(body));
    });
    writer.section(sectionIds.data, (to) => to.u8(1, 1, 4, 1, 2, 3, 4));
    return writer.finish().slice();
  }
}

/** Gives a new budget and calls the function. */
function entryBody(signature: Signature, index: number): Uint8Array {
  const to = new ByteWriter().u8(0, 0x41).signed(budget).u8(0x24, globals.budget);
  for (const place of signature.parameters.keys()) to.u8(0x20).unsigned(place);
  return to.u8(0x10).unsigned(index).u8(0x0b).finish();
}

function writeType(type: ValueType, to: ByteWriter): void {
  to.u8(typeCodes[type]);
}

class BodyMaker {
  readonly #module: ModuleMaker;
  readonly #random: (below: number) => number;
  readonly #signature: Signature;
  readonly #all: readonly Signature[];
  readonly #locals: readonly ValueType[];
  readonly #to = new ByteWriter();
  /** Innermost last; the first is the function's. */
  readonly #labels: Label[] = [];
  #depth = 0;
  #valueDepth = 0;
  /** Whether nothing is called, so that the counter can stay in a local. */
  #quiet: boolean;
  /** Locals that count the turns of loops: the first is this one. */
  readonly #turns: number;
  #loops = 0;

  constructor(module: ModuleMaker, signature: Signature, all: readonly Signature[]) {
    this.#module = module;
    this.#random = module.random;
    this.#signature = signature;
    this.#all = all;
    this.#locals = [...signature.parameters, ...Array.from({ length: 1 + this.#random(20) }, () => module.type())];
    this.#turns = this.#locals.length;
    this.#quiet = this.#random(3) === 0;
  }

  make(): Uint8Array {
    this.#labels.push({ types: this.#signature.results });
    this.#spend();
    this.#statements();
    this.#values(this.#signature.results);
    const declared = this.#locals.slice(this.#signature.parameters.length);
    const turns = Array.from({ length: this.#loops }, () => 'i32' as const);
    const body = new ByteWriter().vector([...declared, ...turns], (type, to) => to.u8(1, typeCodes[type]));
    return body.bytes(this.#to.finish()).u8(0x0b).finish();
  }

  /** Takes one call from the budget; without any left the function returns. */
  #spend(): void {
    this.#to.u8(0x23, globals.budget, 0x41, 1, 0x6b, 0x24, globals.budget);
    this.#to.u8(0x23, globals.budget, 0x41, 0, 0x48, 0x04, emptyType);
    for (const type of this.#signature.results) this.#constant(type);
    this.#to.u8(0x0f, 0x0b);
  }

  #statements(): void {
    const most = this.#depth === 0 ? 12 : 5;
    for (let left = this.#random(most); left > 0; left--) this.#statement();
  }

  /** Leaves nothing on the stack. */
  #statement(): void {
    const deep = this.#depth > depthMost;
    this.#depth++;
    const choice = deep ? this.#random(6) : this.#random(26);
    if (choice < 2) this.#setLocal();
    else if (choice < 3) this.#setGlobal();
    else if (choice < 5) this.#store();
    else if (choice < 6) this.#to.u8(0x01);
    else if (choice < 8) this.#if();
    else if (choice < 10) this.#block();
    else if (choice < 13) this.#loop();
    else if (choice < 15) this.#branchIf();
    else if (choice < 16) this.#branchTable();
    else if (choice < 18) this.#call();
    else if (choice < 19) this.#indirectCall();
    else if (choice < 20) this.#leave();
    else if (choice < 22) this.#bulk();
    else if (choice < 23) this.#grow();
    else if (choice < 25) this.#try();
    else this.#valueBlock();
    this.#depth--;
  }

  #framed(open: () => void, label: Label, body: () => void): void {
    open();
    this.#labels.push(label);
    body();
    this.#labels.pop();
    this.#to.u8(0x0b);
  }

  /** True about as often as false. */
  #condition(): void {
    this.#value('i32');
    this.#to.u8(0x41, 1 + this.#random(3), 0x71);
  }

  #if(): void {
    this.#condition();
    const otherwise = this.#random(2) === 0;
    this.#framed(
      () => this.#to.u8(0x04, emptyType),
      { types: [] },
      () => {
        this.#statements();
        if (otherwise) this.#to.u8(0x05);
        if (otherwise) this.#statements();
      },
    );
  }

  #block(): void {
    this.#framed(
      () => this.#to.u8(0x02, emptyType),
      { types: [] },
      () => this.#statements(),
    );
  }

  /** block loop (leave after some turns) … br_if loop … end end */
  #loop(): void {
    const turns = this.#turns + this.#loops++;
    const quiet = this.#quiet;
    this.#quiet ||= this.#random(2) === 0;
    this.#to
      .u8(0x41)
      .signed(1 + this.#random(turnsMost))
      .u8(0x21)
      .unsigned(turns);
    const head = (): void => {
      this.#to.u8(0x20).unsigned(turns).u8(0x41, 1, 0x6b, 0x22).unsigned(turns).u8(0x41, 0, 0x48, 0x0d, 1);
    };
    this.#framed(
      () => this.#to.u8(0x02, emptyType),
      { types: [] },
      () => {
        this.#framed(
          () => this.#to.u8(0x03, emptyType),
          { types: [] },
          () => {
            const depth = this.#labels.length;
            head();
            this.#statements();
            this.#condition();
            this.#to.u8(0x0d).unsigned(this.#labels.length - depth);
            this.#statements();
          },
        );
      },
    );
    this.#quiet = quiet;
  }

  /** A block whose value is what a branch carries or what it ends with. */
  #valueBlock(): void {
    const type = this.#module.type();
    this.#framed(
      () => this.#to.u8(0x02, typeCodes[type]),
      { types: [type] },
      () => {
        this.#statements();
        this.#value(type);
      },
    );
    this.#to.u8(0x1a);
  }

  /** A label, by its depth; what a branch to it carries is on the stack. */
  #target(): number {
    // The function's own label would end too much too soon.
    const inner = Math.max(this.#labels.length - 1, 1);
    const depth = this.#random(this.#random(6) === 0 ? this.#labels.length : inner);
    this.#values(this.#labels[this.#labels.length - 1 - depth]?.types ?? []);
    return depth;
  }

  #branchIf(): void {
    const depth = this.#target();
    this.#condition();
    this.#to.u8(0x0d).unsigned(depth);
    for (const _ of this.#labels[this.#labels.length - 1 - depth]?.types ?? []) this.#to.u8(0x1a);
  }

  /** In a block of its own, as nothing can come behind it. */
  #branchTable(): void {
    this.#framed(
      () => this.#to.u8(0x02, emptyType),
      { types: [] },
      () => {
        const plain = this.#labels.map((_, place) => place).filter((place) => this.#labels[place]?.types.length === 0);
        const labels = Array.from(
          { length: 1 + this.#random(5) },
          () => this.#labels.length - 1 - (plain[this.#random(plain.length)] ?? 0),
        );
        this.#value('i32');
        this.#to
          .u8(0x0e)
          .vector(labels.slice(1), (label, to) => to.unsigned(label))
          .unsigned(labels[0] ?? 0);
      },
    );
  }

  #leave(): void {
    this.#condition();
    this.#framed(
      () => this.#to.u8(0x04, emptyType),
      { types: [] },
      () => {
        const choice = this.#random(12);
        if (choice === 0) this.#to.u8(0x00);
        else if (choice < 3 && !this.#quiet && this.#module.exceptions !== 'none') {
          this.#value('i32');
          this.#to.u8(0x08, 0);
        } else if (choice < 5 && !this.#quiet) this.#tailCall();
        else if (choice < 9) {
          const depth = this.#target();
          this.#to.u8(0x0c).unsigned(depth);
        } else {
          this.#values(this.#signature.results);
          this.#to.u8(0x0f);
        }
      },
    );
  }

  #tailCall(): void {
    const wanted = this.#signature.results.join();
    const fitting = this.#all.map((_, place) => place).filter((place) => this.#all[place]?.results.join() === wanted);
    const callee = fitting[this.#random(fitting.length)] ?? 0;
    this.#values(this.#all[callee]?.parameters ?? []);
    this.#to.u8(0x12).unsigned(callee);
  }

  #call(): void {
    if (this.#quiet) return this.#setLocal();
    const callee = this.#random(this.#all.length);
    this.#values(this.#all[callee]?.parameters ?? []);
    this.#to.u8(0x10).unsigned(callee);
    this.#dropAll(this.#all[callee]);
  }

  #indirectCall(): void {
    if (this.#quiet) return this.#setGlobal();
    const type = this.#random(this.#all.length);
    this.#values(this.#all[type]?.parameters ?? []);
    this.#to.u8(0x41).signed(this.#random(6)).u8(0x11).unsigned(type).u8(0);
    this.#dropAll(this.#all[type]);
  }

  #dropAll(signature: Signature | undefined): void {
    for (const _ of signature?.results ?? []) this.#to.u8(0x1a);
  }

  #bulk(): void {
    if (this.#quiet) return this.#store();
    const to = this.#to;
    const address = (): void => void to.u8(0x41).signed(this.#random(60_000));
    switch (this.#random(5)) {
      case 0:
        address();
        this.#value('i32');
        to.u8(0x41).signed(this.#random(500)).u8(0xfc, 11, 0);
        break;
      case 1:
        address();
        address();
        to.u8(0x41).signed(this.#random(500)).u8(0xfc, 10, 0, 0);
        break;
      case 2:
        address();
        to.u8(0x41, 0, 0x41).signed(this.#random(6)).u8(0xfc, 8, 0, 0);
        break;
      case 3:
        to.u8(0x41, 0, 0xd2).unsigned(this.#exportedFunction()).u8(0x41).signed(this.#random(4)).u8(0xfc, 17, 0);
        break;
      default:
        to.u8(0x41, 1, 0x41, 0, 0x41).signed(this.#random(4)).u8(0xfc, 14, 0, 0);
    }
  }

  #exportedFunction(): number {
    return imports.length;
  }

  #grow(): void {
    if (this.#quiet) return this.#setLocal();
    if (this.#random(2) === 0) this.#to.u8(0x41).signed(this.#random(3)).u8(0x40, 0, 0x1a);
    else this.#to.u8(0xd2).unsigned(this.#exportedFunction()).u8(0x41).signed(this.#random(5)).u8(0xfc, 15, 0, 0x1a);
  }

  #try(): void {
    if (this.#module.exceptions === 'new') this.#tryTable();
    else if (this.#module.exceptions === 'old') this.#oldTry();
    else this.#block();
  }

  /** block $caught (result i32) try_table (catch 0 $caught) … end i32.const end drop */
  #tryTable(): void {
    const all = this.#random(3) === 0;
    this.#framed(
      () => this.#to.u8(0x02, all ? emptyType : 0x7f),
      { types: all ? [] : ['i32'] },
      () => {
        this.#framed(
          () => this.#to.u8(0x1f, emptyType, 1).bytes(all ? Uint8Array.of(2, 0) : Uint8Array.of(0, 0, 0)),
          { types: [] },
          () => this.#tried(),
        );
        if (!all) this.#value('i32');
      },
    );
    if (!all) this.#to.u8(0x1a);
  }

  /** A call is what makes a try worth while, even where all else is quiet. */
  #tried(): void {
    const quiet = this.#quiet;
    this.#statements();
    this.#quiet = false;
    this.#call();
    this.#quiet = quiet;
    this.#statements();
  }

  #oldTry(): void {
    this.#framed(
      () => this.#to.u8(0x06, emptyType),
      { types: [] },
      () => {
        this.#tried();
        if (this.#random(4) > 0) {
          this.#to.u8(0x07, 0, 0x1a);
          this.#statements();
        }
        if (this.#random(2) === 0) {
          this.#to.u8(0x19);
          this.#statements();
        }
      },
    );
  }

  #setLocal(): void {
    const place = this.#random(this.#locals.length);
    this.#value(this.#locals[place] ?? 'i32');
    this.#to.u8(0x21).unsigned(place);
  }

  #setGlobal(): void {
    const type = this.#module.type();
    this.#value(type);
    this.#to.u8(0x24, globals[type]);
  }

  #store(): void {
    const type = this.#module.type();
    this.#to.u8(0x41).signed(this.#random(60_000));
    this.#value(type);
    this.#to.u8({ i32: 0x36, i64: 0x37, f64: 0x39 }[type], 0, 0);
  }

  #values(types: readonly ValueType[]): void {
    for (const type of types) this.#value(type);
  }

  /** Leaves one value on the stack. */
  #value(type: ValueType): void {
    this.#valueDepth++;
    const deep = this.#valueDepth > valueDepthMost;
    const choice = this.#random(deep ? 4 : 9);
    if (choice === 0) this.#constant(type);
    else if (choice <= 2) this.#readLocal(type);
    else if (choice === 3) this.#to.u8(0x23, globals[type]);
    else if (choice <= 6) this.#operate(type);
    else if (choice === 7) this.#chooseValue(type);
    else this.#callFor(type);
    this.#valueDepth--;
  }

  #constant(type: ValueType): void {
    if (type === 'f64') this.#to.u8(0x44, 0, 0, 0, 0, 0, 0, this.#random(256), 0x3f);
    else this.#to.u8(type === 'i32' ? 0x41 : 0x42).signed(this.#random(2_000) - 1_000);
  }

  #readLocal(type: ValueType): void {
    const places = this.#locals.map((_, place) => place).filter((place) => this.#locals[place] === type);
    const place = places[this.#random(Math.max(places.length, 1))];
    if (place === undefined) this.#constant(type);
    else this.#to.u8(0x20).unsigned(place);
  }

  #operate(type: ValueType): void {
    if (type === 'i32' && this.#random(3) === 0) {
      this.#value('i64');
      this.#to.u8(0xa7);
      return;
    }
    if (type === 'i64' && this.#random(3) === 0) {
      this.#to.u8(0x41).signed(this.#random(60_000)).u8(0x29, 0, 0);
      return;
    }
    this.#value(type);
    this.#value(type);
    const operators = {
      i32: [0x6a, 0x6b, 0x6c, 0x71, 0x73, 0x48, 0x46, 0x6e],
      i64: [0x7c, 0x7d, 0x7e, 0x83, 0x85],
      f64: [0xa0, 0xa1, 0xa2, 0xa4],
    };
    const operator = operators[type][this.#random(operators[type].length)] ?? 0x6a;
    // A divisor of 0 traps, which is wanted, but not all the time.
    if (operator === 0x6e) this.#to.u8(0x41, 1, 0x72);
    this.#to.u8(operator);
  }

  #chooseValue(type: ValueType): void {
    this.#condition();
    this.#framed(
      () => this.#to.u8(0x04, typeCodes[type]),
      { types: [type] },
      () => {
        this.#value(type);
        this.#to.u8(0x05);
        this.#value(type);
      },
    );
  }

  #callFor(type: ValueType): void {
    const fitting = this.#all.map((_, place) => place).filter((place) => this.#all[place]?.results.join() === type);
    const callee = fitting[this.#random(Math.max(fitting.length, 1))];
    if (callee === undefined || this.#quiet) return this.#constant(type);
    this.#values(this.#all[callee]?.parameters ?? []);
    this.#to.u8(0x10).unsigned(callee);
  }
}
