/**
 * Files of descriptors by name, symbol and extension, with everything that they
 * depend on, encoded as reflection sends them. Read-only once built.
 */

import { type DescFile, type DescMessage, toBinary } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

/** All files given, and all that they depend on. */
export class DescriptorIndex {
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  /** Extended type -> extension number -> file. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();
  /** At most one entry a file. */
  readonly #encoded = new Map<DescFile, Uint8Array>();

  constructor(files: Iterable<DescFile>) {
    for (const file of files) this.#addFile(file);
  }

  /** By the path that the file is imported by, such as "caisson/v1/plugin.proto". */
  file(name: string): DescFile | undefined {
    return this.#files.get(name);
  }

  /** By the full name of a service, method, message, field, enum, enum value or extension. */
  fileOfSymbol(symbol: string): DescFile | undefined {
    return this.#symbols.get(symbol);
  }

  fileOfExtension(extendedType: string, number: number): DescFile | undefined {
    return this.#extensions.get(extendedType)?.get(number);
  }

  /** Undefined if there is no such message. */
  extensionNumbers(extendedType: string): readonly number[] | undefined {
    const numbers = this.#extensions.get(extendedType);
    if (numbers) return [...numbers.keys()].sort((one, other) => one - other);
    return this.#symbols.has(extendedType) ? [] : undefined;
  }

  /** The file first, then all that it depends on, each once. */
  encodedWithDependencies(file: DescFile): Uint8Array[] {
    const all = new Set<DescFile>([file]);
    // A Set that grows is iterated to its new end.
    for (const each of all) for (const dependency of each.dependencies) all.add(dependency);
    return Array.from(all, (each) => this.#encode(each));
  }

  #encode(file: DescFile): Uint8Array {
    const known = this.#encoded.get(file);
    const bytes = known ?? toBinary(FileDescriptorProtoSchema, file.proto);
    if (!known) this.#encoded.set(file, bytes);
    return bytes;
  }

  #addFile(file: DescFile): void {
    if (this.#files.has(file.proto.name)) return;
    this.#files.set(file.proto.name, file);
    for (const type of nestedTypes(file)) {
      this.#symbols.set(type.typeName, file);
      switch (type.kind) {
        case 'message':
          this.#addMembers(type, file);
          break;
        case 'enum':
          // Values are siblings of their enum, as in C++.
          for (const value of type.values) this.#symbols.set(`${scopeOf(type.typeName)}${value.name}`, file);
          break;
        case 'service':
          for (const method of type.methods) this.#symbols.set(`${type.typeName}.${method.name}`, file);
          break;
        case 'extension':
          this.#extensionsOf(type.extendee.typeName).set(type.number, file);
          break;
      }
    }
    for (const dependency of file.dependencies) this.#addFile(dependency);
  }

  #addMembers(message: DescMessage, file: DescFile): void {
    for (const member of [...message.fields, ...message.oneofs]) {
      this.#symbols.set(`${message.typeName}.${member.name}`, file);
    }
  }

  #extensionsOf(extendedType: string): Map<number, DescFile> {
    const numbers = this.#extensions.get(extendedType) ?? new Map<number, DescFile>();
    this.#extensions.set(extendedType, numbers);
    return numbers;
  }
}

function scopeOf(typeName: string): string {
  return typeName.slice(0, typeName.lastIndexOf('.') + 1);
}
