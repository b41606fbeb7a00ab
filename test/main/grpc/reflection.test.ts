import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { loadSync } from '@grpc/proto-loader';
import { withImports } from '../../../src/main/grpc/reflection.js';

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
