/** The plugin's two functions. Reading, writing and configuration stand in the files beside this one. */

import { fail, logInfo, progress } from "../../sdk/assembly/caisson";
import { ColumnSummary } from "./describe";
import { Format, Plan, Test } from "./options";
import { Reader } from "./reader";
import { counted, decimal, grouped, parseNumber } from "./text";
import { Writer } from "./writer";

/** Selects, filters, upper-cases and adds up columns, as the configuration says. */
export function transform(): i32 {
  const format = new Format();
  if (format.error.length > 0) return fail(format.error);
  const reader = new Reader(format.delimiter);
  if (!reader.next()) return reader.error.length > 0 ? fail(reader.error) : 0;
  const plan = new Plan(columnNames(reader, format.hasHeader));
  if (plan.error.length > 0) return fail(plan.error);
  const writer = new Writer(<u8>format.delimiter);
  if (format.hasHeader) writeHeader(reader, plan, writer);
  const sums = new Array<f64>(plan.selected.length).fill(0);
  const meter = new Meter(reader);
  let kept: u32 = 0;
  let hasRow = !format.hasHeader || reader.next();
  for (; hasRow; hasRow = reader.next()) {
    meter.row();
    if (!matches(reader, plan)) continue;
    kept++;
    writeRow(reader, plan, writer);
    if (!plan.hasSum) continue;
    const problem = addUp(reader, plan, sums);
    if (problem.length > 0) return fail(problem);
  }
  if (reader.error.length > 0) return fail(reader.error);
  if (plan.hasSum) writeSums(plan, sums, writer);
  writer.finish();
  meter.end();
  logInfo(`Read ${counted(meter.rows, "row")}, kept ${grouped(kept)}, wrote ${counted(writer.length, "byte")}`);
  return 0;
}

/** Says of each column how many cells are filled, the least and the greatest, as JSON. */
export function describe(): i32 {
  const format = new Format();
  if (format.error.length > 0) return fail(format.error);
  const reader = new Reader(format.delimiter);
  const meter = new Meter(reader);
  const columns = new Array<ColumnSummary>();
  let hasRow = reader.next();
  if (hasRow) {
    const names = columnNames(reader, format.hasHeader);
    for (let i = 0; i < names.length; i++) columns.push(new ColumnSummary(names[i]));
    if (format.hasHeader) hasRow = reader.next();
  }
  for (; hasRow; hasRow = reader.next()) {
    meter.row();
    for (let i = 0; i < reader.count; i++) columns[i].add(reader.cell(i), reader.cellLength(i));
  }
  if (reader.error.length > 0) return fail(reader.error);
  meter.end();
  writeSummary(columns, meter.rows);
  logInfo(`Described ${counted(columns.length, "column")} of ${counted(meter.rows, "row")}`);
  return 0;
}

/** Counts rows and reports progress about every hundredth of the input. */
class Meter {
  rows: u32 = 0;
  private nextOffset: u32;
  private readonly step: u32;

  constructor(private readonly reader: Reader) {
    this.step = max<u32>(reader.length / 100, 1);
    this.nextOffset = this.step;
  }

  // @ts-ignore: decorator
  @inline
  row(): void {
    this.rows++;
    if (this.reader.offset >= this.nextOffset) this.report();
  }

  end(): void {
    this.nextOffset = 0;
    this.report();
  }

  private report(): void {
    const offset = this.reader.offset;
    this.nextOffset = offset + this.step;
    const fraction = this.reader.length == 0 ? 1 : <f64>offset / <f64>this.reader.length;
    progress(fraction, counted(this.rows, "row"));
  }
}

/** Names of the columns: the cells of the header, or the numbers from 1. */
function columnNames(reader: Reader, hasHeader: bool): Array<string> {
  const names = new Array<string>();
  for (let i = 0; i < reader.count; i++) names.push(hasHeader ? reader.cellText(i) : (i + 1).toString());
  return names;
}

function writeHeader(reader: Reader, plan: Plan, writer: Writer): void {
  for (let i = 0; i < plan.selected.length; i++) {
    const column = plan.selected[i];
    writer.cell(reader.cell(column), reader.cellLength(column), false);
  }
  writer.endRow(plan.selected.length == 1 && reader.cellLength(plan.selected[0]) == 0);
}

function writeRow(reader: Reader, plan: Plan, writer: Writer): void {
  for (let i = 0; i < plan.selected.length; i++) {
    const column = plan.selected[i];
    writer.cell(reader.cell(column), reader.cellLength(column), plan.isUpper[i]);
  }
  writer.endRow(plan.selected.length == 1 && reader.cellLength(plan.selected[0]) == 0);
}

function matches(reader: Reader, plan: Plan): bool {
  if (plan.test == Test.None) return true;
  const pointer = reader.cell(plan.testColumn);
  const length = reader.cellLength(plan.testColumn);
  if (plan.test <= Test.Unequal) return isText(pointer, length, plan.testText) == (plan.test == Test.Equal);
  const value = parseNumber(pointer, length);
  switch (plan.test) {
    case Test.Less:
      return value < plan.testNumber;
    case Test.LessOrEqual:
      return value <= plan.testNumber;
    case Test.Greater:
      return value > plan.testNumber;
    default:
      return value >= plan.testNumber;
  }
}

function isText(pointer: usize, length: u32, text: ArrayBuffer): bool {
  return length == <u32>text.byteLength && memory.compare(pointer, changetype<usize>(text), length) == 0;
}

/** Adds the row to the sums; returns what is wrong with it, or nothing. Empty cells count as 0. */
function addUp(reader: Reader, plan: Plan, sums: Array<f64>): string {
  for (let i = 0; i < plan.selected.length; i++) {
    const column = plan.selected[i];
    if (!plan.isSummed[i] || reader.cellLength(column) == 0) continue;
    const value = parseNumber(reader.cell(column), reader.cellLength(column));
    if (isNaN(value)) return `Line ${reader.line}: cell ${column + 1} is to be summed, but "${reader.cellText(column)}" is not a number`;
    sums[i] += value;
  }
  return "";
}

function writeSums(plan: Plan, sums: Array<f64>, writer: Writer): void {
  for (let i = 0; i < plan.selected.length; i++) writer.cellText(plan.isSummed[i] ? decimal(sums[i]) : "");
  writer.endRow(false);
}

function writeSummary(columns: Array<ColumnSummary>, rows: u32): void {
  const writer = new Writer(0x2c);
  writer.text(`{"rows":${rows},"columns":[`);
  for (let i = 0; i < columns.length; i++) {
    if (i > 0) writer.byte(0x2c);
    columns[i].write(writer);
  }
  writer.text("]}");
  writer.finish();
}
