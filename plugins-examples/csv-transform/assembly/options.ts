/**
 * What the configuration asks for. Columns are found by name or, where there is
 * no header, by number from 1. Whatever is wrong goes to `error`.
 */

import { config } from "../../sdk/assembly/caisson";
import { parseNumber } from "./text";

export enum Test {
  None,
  Equal,
  Unequal,
  Less,
  LessOrEqual,
  Greater,
  GreaterOrEqual,
}

export class Format {
  error: string = "";
  delimiter: i32 = 0x2c;
  hasHeader: bool = true;

  constructor() {
    const delimiter = config("delimiter");
    if (delimiter !== null) this.readDelimiter(delimiter);
    const header = config("header");
    if (header !== null) this.readHeader(header);
  }

  private readHeader(text: string): void {
    this.hasHeader = text != "false";
    if (this.hasHeader && text != "true") this.error = `Config "header" must be "true" or "false", but is "${text}"`;
  }

  private readDelimiter(text: string): void {
    if (text == "tab") this.delimiter = 0x09;
    else if (text.length == 1 && isDelimiter(text.charCodeAt(0))) this.delimiter = text.charCodeAt(0);
    else this.error = `Config "delimiter" must be "tab" or one ASCII character other than a quote or a line end, but is "${text}"`;
  }
}

/** What shall be done to the columns, given their names. */
export class Plan {
  error: string = "";
  /** Columns to write, in order. */
  readonly selected: Array<i32> = [];
  /** Whether to upper-case, by position in `selected`. */
  isUpper: StaticArray<bool> = [];
  /** Whether to add up, by position in `selected`. */
  isSummed: StaticArray<bool> = [];
  hasSum: bool = false;
  test: Test = Test.None;
  testColumn: i32 = 0;
  testText: ArrayBuffer = new ArrayBuffer(0);
  testNumber: f64 = 0;

  constructor(private readonly names: Array<string>) {
    this.readSelect();
    this.isUpper = new StaticArray<bool>(this.selected.length);
    this.isSummed = new StaticArray<bool>(this.selected.length);
    this.mark("upper", this.isUpper);
    this.hasSum = this.mark("sum", this.isSummed);
    this.readWhere();
  }

  private readSelect(): void {
    const text = config("select");
    if (text === null) {
      for (let i = 0; i < this.names.length; i++) this.selected.push(i);
      return;
    }
    const wanted = text.split(",");
    for (let i = 0; i < wanted.length; i++) {
      const column = this.find("select", wanted[i].trim());
      if (column < 0) return;
      this.selected.push(column);
    }
  }

  private mark(key: string, marks: StaticArray<bool>): bool {
    const text = config(key);
    if (text === null) return false;
    const wanted = text.split(",");
    for (let i = 0; i < wanted.length; i++) {
      const name = wanted[i].trim();
      const column = this.find(key, name);
      if (column < 0) return false;
      const first = this.selected.indexOf(column);
      if (first < 0) {
        this.refuse(`Config "${key}": column "${name}" is not among the selected ones`);
        return false;
      }
      for (let at = first; at < this.selected.length; at++) if (this.selected[at] == column) marks[at] = true;
    }
    return true;
  }

  private readWhere(): void {
    const text = config("where");
    if (text === null) return;
    let at = 0;
    while (at < text.length && !"=!<>".includes(text.charAt(at))) at++;
    const width = this.readTest(text, at);
    if (width == 0) {
      this.refuse(`Config "where" must be a column, one of = != < <= > >= and a value, but is "${text}"`);
      return;
    }
    this.testColumn = this.find("where", text.substring(0, at).trim());
    this.testText = String.UTF8.encode(text.substring(at + width).trim());
    if (this.test <= Test.Unequal) return;
    this.testNumber = parseNumber(changetype<usize>(this.testText), this.testText.byteLength);
    if (isNaN(this.testNumber)) this.refuse(`Config "where": "${text.substring(at + width).trim()}" is not a number`);
  }

  /** Reads the operator at `at` and returns how many characters it has. */
  private readTest(text: string, at: i32): i32 {
    const sign = text.charAt(at);
    const isEqualNext = text.charAt(at + 1) == "=";
    if (sign == "=") this.test = Test.Equal;
    else if (sign == "!" && isEqualNext) this.test = Test.Unequal;
    else if (sign == "<") this.test = isEqualNext ? Test.LessOrEqual : Test.Less;
    else if (sign == ">") this.test = isEqualNext ? Test.GreaterOrEqual : Test.Greater;
    else return 0;
    return sign != "=" && isEqualNext ? 2 : 1;
  }

  private find(key: string, name: string): i32 {
    const column = this.names.indexOf(name);
    if (column < 0) this.refuse(`Config "${key}": no column "${name}"; the columns are ${this.listNames()}`);
    return column;
  }

  private listNames(): string {
    const shown = this.names.slice(0, 20);
    const list = "\"" + shown.join("\", \"") + "\"";
    return this.names.length > shown.length ? list + " and more" : list;
  }

  private refuse(text: string): void {
    if (this.error.length == 0) this.error = text;
  }
}

function isDelimiter(code: i32): bool {
  return code < 0x80 && code != 0x22 && code != 0x0a && code != 0x0d && code != 0;
}
