/** The functions that a guest imports, with what has been declared of their prices. */

import { shownName, WasmError } from '../problem.ts';
import type { ImportEntry } from '../sections.ts';
import type { FunctionType } from '../types.ts';
import type { ImportPrice } from './added-functions.ts';
import { prices } from './costs.ts';

export interface ImportedFunction {
  readonly entry: ImportEntry;
  readonly type: FunctionType;
  readonly typeIndex: number;
  readonly price: ImportPrice | undefined;
}

/** What a direct call costs where it is made; one that is priced by an operand is charged by an added function. */
export function directCost(price: ImportPrice | undefined): number {
  return price?.perOperand === undefined ? prices.importCall + (price?.units ?? 0) : 0;
}

/** In the order of their indices; fails if an operand has a price that cannot have one. */
export function importedFunctionsOf(
  imports: readonly ImportEntry[],
  declared: readonly ImportPrice[],
): readonly ImportedFunction[] {
  return imports.flatMap((entry) => {
    const { type, typeIndex } = entry;
    if (type.kind !== 'function' || typeIndex === undefined) return [];
    const price = declared.find(({ module, name }) => module === entry.module && name === entry.name);
    checkOperand(entry, type, price);
    return [{ entry, type, typeIndex, price }];
  });
}

/** Fails if the guest imports the function with another type than the one that was priced. */
function checkOperand({ module, name }: ImportEntry, type: FunctionType, price: ImportPrice | undefined): void {
  if (price?.perOperand === undefined) return;
  const { operand } = price.perOperand;
  const operandType = type.parameters[operand];
  if (operandType === 'i32' || operandType === 'i64') return;
  throw new WasmError({
    reason: 'IMPORT_TYPE_MISMATCH',
    location: `import ${shownName(module)}.${shownName(name)}`,
    message: `Parameter ${operand} of the import must be an integer, because its price depends on it`,
  });
}
