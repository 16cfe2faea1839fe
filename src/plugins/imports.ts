/**
 * Judges one import of a module: who provides it, and if nobody does, what its
 * author probably meant and should do. Pure.
 */

import { suggestion } from '../base/near-names.ts';
import {
  capabilities,
  type CapabilityName,
  capabilityNames,
  type HostFunctionType,
  kernelFunctions,
  kernelModule,
  userModule,
  wasiModule,
} from '../model/capability.ts';
import type { GrantRefusal } from '../model/grant.ts';
import { refusalText } from '../model/grant-refusal.ts';
import type { Reason } from '../model/reasons.ts';
import type { ImportInfo } from '../wasm/inspect.ts';
import { reservedPrefix } from '../wasm/policy.ts';
import { shownName } from '../wasm/problem.ts';
import { type ExternType, typeText } from '../wasm/types.ts';

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

/** What stands for and against a plugin's imports. */
export interface ImportRights {
  /** The capabilities that the manifest asks for; undefined if they are not known. */
  readonly asked: readonly CapabilityName[] | undefined;
  /** Capabilities that the operator's policy refuses; empty also where no policy is asked. */
  readonly refusals: readonly GrantRefusal[];
}

/** Judges an import: who provides it, or why nobody does. */
export function judgeImport(info: ImportInfo, rights: ImportRights): ImportVerdict {
  // Reported already, as a reserved name.
  if (info.module.startsWith(reservedPrefix)) return { capability: undefined, provided: false, problem: undefined };
  if (info.kind === 'memory' || info.kind === 'table')
    return { capability: undefined, provided: true, problem: undefined };
  const host = info.kind === 'function' ? hostFunctions.get(info.module)?.get(info.name) : undefined;
  if (host === undefined) return refused(undefined, 'IMPORT_UNKNOWN', explainUnknown(info));
  const { capability } = host;
  if (typeText(info.type) !== host.type) return refused(capability, 'IMPORT_TYPE_MISMATCH', explainType(info, host));
  const message = capability && whyNotGranted(capability, rights);
  return message === undefined
    ? { capability, provided: true, problem: undefined }
    : refused(capability, 'CAPABILITY_NOT_GRANTED', message);
}

function whyNotGranted(capability: CapabilityName, { asked, refusals }: ImportRights): string | undefined {
  if (asked?.includes(capability) === false)
    return `It needs the capability "${capability}", which the manifest does not ask for`;
  const refusal = refusals.find((refused) => refused.capability === capability);
  return refusal && refusalText(refusal);
}

function explainType({ module, type }: ImportInfo, host: HostFunction): string {
  const mend = module === wasiModule ? 'build with a current toolchain, for wasm32-wasip1' : 'use a current PDK';
  return `It is imported as ${shownType(type)}, but is ${host.type}: ${mend}`;
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
  const all = new Map(
    [kernelModule, userModule, wasiModule].map((module) => [module, new Map<string, HostFunction>()]),
  );
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

/** Functions of Extism's own kernel that plugins have no business with. */
const foreignKernelFunctions: readonly string[] = [
  'input_set',
  'output_offset',
  'output_length',
  'reset',
  'memory_bytes',
];

/** Import modules that tell which toolchain made the module, and what to do then. */
const toolchains: readonly { readonly form: RegExp; readonly advice: string }[] = [
  {
    form: /^wasi_unstable$/,
    advice:
      'It is of a WASI before preview 1, which is not provided: build with a current toolchain, for wasm32-wasip1',
  },
  {
    form: /^wasi:/,
    advice:
      'It is of WASI preview 2, which is for components and is not provided: build a core module for wasm32-wasip1',
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
  if (foreignKernelFunctions.includes(info.name))
    return 'It belongs to the kernel of Extism and is not for plugins: use a current PDK';
  const elsewhere = moduleOf(info.name);
  if (elsewhere !== undefined) return `"${info.name}" is provided by the module "${elsewhere}": import it from there`;
  const name = shownName(info.name);
  if (info.module === userModule)
    return `This server has no host function "${name}"${suggestion(info.name, ours.keys())}; it offers ${listed(ours)}`;
  const abi = info.module === wasiModule ? 'WASI preview 1' : 'The Extism ABI';
  return `${abi} has no function "${name}"${suggestion(info.name, ours.keys())}`;
}

function explainModule(info: ImportInfo): string {
  const inAssemblyScript = info.module === 'env' ? assemblyScriptAdvice.get(info.name) : undefined;
  if (inAssemblyScript !== undefined) return inAssemblyScript;
  const ourName = info.name.replace(/^extism_/, '');
  const ourModule = moduleOf(ourName);
  if (ourModule !== undefined)
    return `"${ourName}" is provided by the module "${ourModule}": use a current PDK, or import it from there`;
  if (info.module === 'env')
    return 'The linker left this symbol undefined: link the library that defines it into the module';
  return `Nobody provides the module "${shownName(info.module)}": host functions come from ${modulesListed} only`;
}

const modulesListed = `"${kernelModule}", "${userModule}" and "${wasiModule}"`;

function moduleOf(name: string): string | undefined {
  return [...hostFunctions].find(([, functions]) => functions.has(name))?.[0];
}

function listed(functions: ReadonlyMap<string, unknown>): string {
  return [...functions.keys()].map((name) => `"${name}"`).join(', ');
}
