import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { loadSync } from '@grpc/proto-loader';
import { withImports } from '../../../src/main/grpc/reflection.js';
import { temporaryDirectory } from '../../support/temporary.js';

const OPTIONS = { includeDirs: [resolve('proto')], keepCase: true };

function filesOf(definition: ReturnType<typeof loadSync>) {
  const bytes = Object.values(definition).flatMap(({ fileDescriptorProtos }) =>
    Array.isArray(fileDescriptorProtos) ? (fileDescriptorProtos as Buffer[]) : [],
  );
  const files = bytes.map((file) => fromBinary(FileDescriptorProtoSchema, file));
  return new Map(files.map((file) => [file.name, file]));
}

test('each file imports what it refers to, and its types are found there', () => {
  const files = filesOf(withImports(loadSync(['p2p_api.proto', 'blockchain_api.proto'], OPTIONS)));
  assert.deepEqual(files.get('p2p_api.proto')?.dependency, ['google_protobuf.proto']);
  assert.ok(files.get('blockchain_api.proto')?.dependency.includes('model.proto'));
  const peers = files.get('p2p_api.proto')?.messageType.find(({ name }) => name === 'GetPeersResponse');
  assert.equal(peers?.field[0]?.typeName, '.p2p_api.Peer');
  // protobufjs ends a reserved range one short, and Go refuses an empty one.
  const ranges = [...files.values()].flatMap(({ messageType }) =>
    messageType.flatMap(({ reservedRange }) => reservedRange),
  );
  assert.deepEqual(ranges, []);
  // Every reference is resolved by a reader that is not ours, or it throws.
  const registry = createFileRegistry({
    $typeName: FileDescriptorSetSchema.typeName,
    file: [...files.values()].sort((a, b) => a.dependency.length - b.dependency.length),
  });
  assert.equal(registry.getService('p2p_api.PeerService')?.method.getPeers?.output.name, 'GetPeersResponse');
  const notification = registry.getMessage('blockchain_api.Notification');
  assert.equal(
    notification?.fields.find(({ name }) => name === 'type')?.enum?.typeName,
    'model.NotificationType',
  );
});

test('the entry of a map has the name that protoc gives it', (context) => {
  const directory = temporaryDirectory(context);
  const fields = ['statuses', 'by_peer_id', 'already_Capital', 'twice__under'];
  const maps = fields.map((field, index) => `map<string, Value> ${field} = ${index + 1};`).join('\n');
  writeFileSync(
    join(directory, 'maps.proto'),
    `syntax = "proto3";\npackage maps;\nmessage Value { message Inner { ${maps} } }\n`,
  );
  const buf = [resolve('node_modules/@bufbuild/buf/bin/buf'), 'build', directory, '-o', '-'];
  const [protoc] = fromBinary(FileDescriptorSetSchema, execFileSync(process.execPath, buf)).file;
  const [ours] = filesOf(
    withImports(loadSync('maps.proto', { includeDirs: [directory], keepCase: true })),
  ).values();
  const entriesOf = (file: FileDescriptorProto | undefined) => {
    const inner = file?.messageType[0]?.nestedType[0];
    return inner?.field.map(({ name, typeName }) => [name, typeName]);
  };
  assert.equal(entriesOf(protoc)?.length, fields.length);
  assert.deepEqual(entriesOf(ours), entriesOf(protoc));
});
