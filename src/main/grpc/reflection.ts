/**
 * What reflection tells of the services. proto-loader's descriptors name no file that they import (grpc-node issue 2595) and
 * leave types relative, and name the entry of a map after its field as it is written. Go's clients, grpcurl among them, refuse a file whose
 * types are not to be found, or whose maps are not named as protoc names them. All three are put right here.
 * Reserved numbers are left out: their ranges come one short, which is refused too, and nobody who calls has a use for them.
 */

import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';
import type { PackageDefinition } from '@grpc/proto-loader';

/**
 * `definition` with descriptors as `protoc` writes them: absolute type names, maps whose entries have protoc's names, and each file imports
 * those that it refers to.
 */
export function withImports(definition: PackageDefinition): PackageDefinition {
  const files = new Map<string, FileDescriptorProto>();
  for (const { fileDescriptorProtos } of Object.values(definition)) {
    if (!Array.isArray(fileDescriptorProtos)) continue;
    for (const bytes of fileDescriptorProtos) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      files.set(file.name, file);
    }
  }
  for (const file of files.values()) nameMapEntries(file.messageType);
  const homes = new Map<string, string>();
  for (const file of files.values()) {
    for (const name of definedIn(packageScope(file), file)) homes.set(name, file.name);
  }
  const whole = [...files.values()].map((file) => {
    file.dependency = importsOf(file, homes);
    return Buffer.from(toBinary(FileDescriptorProtoSchema, file));
  });
  return Object.fromEntries(
    Object.entries(definition).map(([name, entry]) => [
      name,
      Array.isArray(entry.fileDescriptorProtos) ? { ...entry, fileDescriptorProtos: whole } : entry,
    ]),
  ) as PackageDefinition;
}

const packageScope = (file: FileDescriptorProto): string => (file.package === '' ? '' : `.${file.package}`);

/** Absolute names, with the leading dot, of every message and enumeration. */
function definedIn(
  scope: string,
  { messageType, enumType }: Pick<FileDescriptorProto, 'messageType' | 'enumType'>,
): string[] {
  return [
    ...enumType.map(({ name }) => `${scope}.${name}`),
    ...messageType.flatMap((message) => {
      const own = `${scope}.${message.name}`;
      return [own, ...definedIn(own, { messageType: message.nestedType, enumType: message.enumType })];
    }),
  ];
}

/** `some_field` has the entry `SomeFieldEntry`, within the message that has the field. */
function nameMapEntries(messages: readonly DescriptorProto[]): void {
  for (const { field: fields, nestedType } of messages) {
    for (const field of fields) {
      const entry = nestedType.find(({ name, options }) => name === field.typeName && options?.mapEntry);
      if (entry === undefined) continue;
      entry.name = `${field.name.replaceAll(/(?:^|_+)([^_]?)/g, (_, first: string) => first.toUpperCase())}Entry`;
      field.typeName = entry.name;
    }
    nameMapEntries(nestedType);
  }
}

/** The files that `file` refers to, sorted; makes its type names absolute on the way. */
function importsOf(file: FileDescriptorProto, homes: ReadonlyMap<string, string>): string[] {
  const imports = new Set<string>();
  const absolute = (name: string, scope: string): string => {
    const found = name.startsWith('.') ? name : resolve(name, scope, homes);
    const home = homes.get(found);
    if (home !== undefined && home !== file.name) imports.add(home);
    return found;
  };
  const visit = (messages: readonly DescriptorProto[], scope: string): void => {
    for (const message of messages) {
      const own = `${scope}.${message.name}`;
      for (const field of message.field) {
        if (field.typeName !== '') field.typeName = absolute(field.typeName, own);
      }
      message.reservedRange = [];
      visit(message.nestedType, own);
    }
  };
  const scope = packageScope(file);
  visit(file.messageType, scope);
  for (const method of file.service.flatMap((service) => service.method)) {
    method.inputType = absolute(method.inputType, scope);
    method.outputType = absolute(method.outputType, scope);
  }
  return [...imports].sort();
}

/** A relative name is looked for in the innermost scope first. One that nobody defines stays as it is. */
function resolve(name: string, scope: string, homes: ReadonlyMap<string, string>): string {
  for (let within = scope; ; within = within.slice(0, within.lastIndexOf('.'))) {
    if (homes.has(`${within}.${name}`)) return `${within}.${name}`;
    if (within === '') return name;
  }
}
