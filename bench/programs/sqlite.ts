/**
 * SQLite with a database in memory: npm `node-sqlite3-wasm`, whose JavaScript side
 * is loaded once for each instance and given the form of the module that is
 * measured. All statements of a turn go to SQLite at once, so that next to
 * nothing of the time is spent in JavaScript.
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';
import type { Instantiate, Subject } from './subject.ts';

const gluePath = fileURLToPath(import.meta.resolve('node-sqlite3-wasm'));
const workloadPath = join(import.meta.dirname, 'sqlite-workload.sql');

/** What the JavaScript side gives, as far as it is used. */
interface Glue {
  readonly Database: new (fileName: string) => Database;
}

interface Database {
  exec(sql: string): void;
  get(sql: string): Readonly<Record<string, number>>;
}

export const sqlite: Subject = {
  name: 'SQLite',
  bytes: new Uint8Array(readFileSync(gluePath.replace(/js$/, 'wasm'))),
  start: (instantiate) => {
    const database = new (loadGlue(instantiate).Database)(':memory:');
    const workload = readFileSync(workloadPath, 'utf8');
    return (turns) => {
      for (let turn = 0; turn < turns; turn++) database.exec(workload);
      return database.get('select number from result')['number'] ?? Number.NaN;
    };
  },
};

function loadGlue(instantiate: Instantiate): Glue {
  const names = ['module', 'require', '__dirname', '__filename', 'WebAssembly'];
  const load = compileFunction(readFileSync(gluePath, 'utf8'), names, { filename: gluePath });
  const module = { exports: {} };
  load(module, createRequire(gluePath), dirname(gluePath), gluePath, substitute(instantiate));
  return module.exports as Glue;
}

/** WebAssembly as the JavaScript side knows it, but that its one instance is made by someone else. */
function substitute(instantiate: Instantiate): Pick<typeof WebAssembly, 'Module' | 'Instance' | 'RuntimeError'> {
  function Instance(_module: WebAssembly.Module, imports: WebAssembly.Imports): WebAssembly.Instance {
    return instantiate(imports);
  }
  return {
    Module: WebAssembly.Module,
    Instance: Instance as unknown as typeof WebAssembly.Instance,
    RuntimeError: WebAssembly.RuntimeError,
  };
}
