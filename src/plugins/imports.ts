/**
 * Judges one import of a module: who provides it, and if nobody does, what its
 * author probably meant and should do. Pure.
 */

import {
  capabilities,
  type CapabilityName,
  capabilityNames,
  type HostFunctionType,
  kernelFunctions,
  kernelModule,
  userModule,
} from '../model/capability.ts';
import type { Reason } from '../model/reasons.ts';
import type { ImportInfo } from '../wasm/inspect.ts';
import { reservedPrefix } from '../wasm/policy.ts';
import { shownName } from '../wasm/problem.ts';
import { type ExternType, typeText } from '../wasm/types.ts';
import { suggestion } from './near-names.ts';

export interface ImportVerdict {
  readonly capability: CapabilityName | undefined;
  readonly provided: boolean;
  readonly problem: { readonly reason: Reason; readonly message: string } | undefined;
}

interface HostFunction {
  readonly capability: CapabilityName | undefined;
  readonly type: string;
}

/** Every host function by module and name. */
const hostFunctions: ReadonlyMap<string, ReadonlyMap<string, HostFunction>> = collectHostFunctions();

/** Judges an import; `granted` undefined means that the manifest's capabilities are not known. */
export function judgeImport(info: ImportInfo, granted: readonly CapabilityName[] | undefined): ImportVerdict {
  // Reported already, as a reserved name.
  if (info.module.startsWith(reservedPrefix)) return { capability: undefined, provided: false, problem: undefined };
  if (info.kind === 'memory' || info.kind === 'table')
    return { capability: undefined, provided: true, problem: undefined };
  const host = info.kind === 'function' ? hostFunctions.get(info.module)?.get(info.name) : undefined;
  if (host === undefined) return refused(undefined, 'IMPORT_UNKNOWN', explainUnknown(info));
  const type = typeText(info.type);
  if (type !== host.type)
    return refused(
      host.capability,
      'IMPORT_TYPE_MISMATCH',
      `It is imported as ${shownType(info.type)}, but is ${host.type}: use a current PDK`,
    );
  if (host.capability === undefined || granted === undefined || granted.includes(host.capability)) {
    return { capability: host.capability, provided: true, problem: undefined };
  }
  return refused(
    host.capability,
    'CAPABILITY_NOT_GRANTED',
    `It needs the capability "${host.capability}", which the manifest does not ask for`,
  );
}

/** An import as problems locate it. */
export function importLocation(info: Pick<ImportInfo, 'module' | 'name'>): string {
  return `${shownName(info.module)}.${shownName(info.name)}`;
}

const typeLengthMax = 256;

/** A type in text form, cut: it can have a thousand parameters. */
export function shownType(type: ExternType): string {
  const text = typeText(type);
  return text.length > typeLengthMax ? `${text.slice(0, typeLengthMax)}…` : text;
}

/** The manifest line that asks for what is granted already and for what is missing. */
export function capabilitiesLine(granted: readonly CapabilityName[], missing: ReadonlySet<CapabilityName>): string {
  const added = capabilityNames.filter((name) => missing.has(name) && !granted.includes(name));
  return `"capabilities": [${[...granted, ...added].map((name) => `"${name}"`).join(', ')}]`;
}

function refused(capability: CapabilityName | undefined, reason: Reason, message: string): ImportVerdict {
  return { capability, provided: false, problem: { reason, message } };
}

function collectHostFunctions(): ReadonlyMap<string, ReadonlyMap<string, HostFunction>> {
  const all = new Map([
    [kernelModule, new Map<string, HostFunction>()],
    [userModule, new Map<string, HostFunction>()],
  ]);
  const add = (
    module: string,
    functions: Readonly<Record<string, HostFunctionType>>,
    capability?: CapabilityName,
  ): void => {
    for (const [name, type] of Object.entries(functions)) {
      all.get(module)?.set(name, { capability, type: typeText({ kind: 'function', ...type }) });
    }
  };
  add(kernelModule, kernelFunctions);
  for (const name of capabilityNames) add(capabilities[name].module, capabilities[name].functions, name);
  return all;
}

const httpFunctions: readonly string[] = ['http_request', 'http_status_code', 'http_headers'];
/** Functions of Extism's own kernel that plugins have no business with. */
const foreignKernelFunctions: readonly string[] = [
  'input_set',
  'output_offset',
  'output_length',
  'reset',
  'memory_bytes',
];

const freestanding = 'build a freestanding module, for example for the target wasm32-unknown-unknown';

/** Import modules that tell which toolchain made the module, and what to do then. */
const toolchains: readonly { readonly form: RegExp; readonly advice: string }[] = [
  {
    form: /^(wasi_snapshot_preview1|wasi_unstable|wasi:.*)$/,
    advice: `WASI is not provided by this server: ${freestanding}`,
  },
  {
    form: /^(wbg|__wbindgen_.*)$/,
    advice:
      'It comes from wasm-bindgen, which needs a JavaScript host: build without wasm-bindgen, with extism-pdk alone',
  },
  {
    form: /^(gojs|go)$/,
    advice:
      'It comes from Go for js/wasm, which needs a JavaScript host: build with TinyGo and the Extism PDK as a freestanding module',
  },
];

/** Imports that AssemblyScript adds by itself. */
const assemblyScriptAdvice: ReadonlyMap<string, string> = new Map([
  ['abort', 'It comes from AssemblyScript: compile with "--use abort=" and the module traps by itself instead'],
  [
    'seed',
    'It comes from the Math.random of AssemblyScript, which is not provided: do without it, or compile with "--use seed=" and a function of your own',
  ],
  [
    'trace',
    'It comes from the trace of AssemblyScript, which is not provided: do without it, or log through the Extism PDK',
  ],
]);

function explainUnknown(info: ImportInfo): string {
  if (info.kind !== 'function') return `Nobody provides a ${info.kind} to import: define it in the module`;
  const toolchain = toolchains.find(({ form }) => form.test(info.module));
  if (toolchain) return toolchain.advice;
  const ours = hostFunctions.get(info.module);
  return ours ? explainName(info, ours) : explainModule(info);
}

function explainName(info: ImportInfo, ours: ReadonlyMap<string, HostFunction>): string {
  if (httpFunctions.includes(info.name)) return 'http is not offered by this server: do without it';
  if (foreignKernelFunctions.includes(info.name))
    return 'It belongs to the kernel of Extism and is not for plugins: use a current PDK';
  const elsewhere = moduleOf(info.name);
  if (elsewhere !== undefined) return `"${info.name}" is provided by the module "${elsewhere}": import it from there`;
  const name = shownName(info.name);
  if (info.module === userModule)
    return `This server has no host function "${name}"${suggestion(info.name, ours.keys())}; it offers ${listed(ours)}`;
  return `The Extism ABI has no function "${name}"${suggestion(info.name, ours.keys())}`;
}

function explainModule(info: ImportInfo): string {
  const inAssemblyScript = info.module === 'env' ? assemblyScriptAdvice.get(info.name) : undefined;
  if (inAssemblyScript !== undefined) return inAssemblyScript;
  const ourName = info.name.replace(/^extism_/, '');
  const ourModule = moduleOf(ourName);
  if (ourModule !== undefined)
    return `"${ourName}" is provided by the module "${ourModule}": use a current PDK, or import it from there`;
  if (httpFunctions.includes(ourName)) return 'http is not offered by this server: do without it';
  if (info.module === 'env')
    return 'The linker left this symbol undefined: link the library that defines it into the module';
  return `Nobody provides the module "${shownName(info.module)}": host functions come from "${kernelModule}" and "${userModule}" only`;
}

function moduleOf(name: string): string | undefined {
  return [...hostFunctions].find(([, functions]) => functions.has(name))?.[0];
}

function listed(functions: ReadonlyMap<string, unknown>): string {
  return [...functions.keys()].map((name) => `"${name}"`).join(', ');
}
