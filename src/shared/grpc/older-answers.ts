/**
 * Answers that services of 2025 number otherwise than those of today. A field of another type under a number is passed over by the decoder, so that
 * each numbering shows itself by what it alone has: a tip's hash or work in its own place.
 */

import { makeGenericClientConstructor } from '@grpc/grpc-js';
import {
  BlockAssemblyAPIClient,
  BlockAssemblyAPIService,
  OlderStateMessage,
  StateMessage,
} from '../generated/blockassembly_api.js';
import {
  BlockchainAPIClient,
  BlockchainAPIService,
  GetBlockHeaderResponse,
  OlderGetBlockHeaderResponse,
} from '../generated/blockchain_api.js';

/** Throws what the decoder throws for bytes that are no message. */
function decodeHeaderAnswer(bytes: Uint8Array): GetBlockHeaderResponse {
  const answer = GetBlockHeaderResponse.decode(bytes);
  if (answer.chain_work.length > 0) return answer;
  const { later_chain_work, ...older } = OlderGetBlockHeaderResponse.decode(bytes);
  const chain_work = later_chain_work.length > 0 ? later_chain_work : older.chain_work;
  if (chain_work.length === 0) return answer;
  return GetBlockHeaderResponse.fromPartial({ ...older, chain_work });
}

/** Throws what the decoder throws for bytes that are no message. */
function decodeAssemblyState(bytes: Uint8Array): StateMessage {
  const answer = StateMessage.decode(bytes);
  if (answer.currentHash !== '') return answer;
  const older = OlderStateMessage.decode(bytes);
  return older.currentHash === '' ? answer : StateMessage.fromPartial(older);
}

const header = { responseDeserialize: decodeHeaderAnswer };

/** `BlockchainAPIClient` that reads headers of either numbering. */
export const AnyBlockchainClient = makeGenericClientConstructor(
  {
    ...BlockchainAPIService,
    getBestBlockHeader: { ...BlockchainAPIService.getBestBlockHeader, ...header },
    getBlockHeader: { ...BlockchainAPIService.getBlockHeader, ...header },
  },
  BlockchainAPIClient.serviceName,
) as unknown as typeof BlockchainAPIClient;

/** `BlockAssemblyAPIClient` that reads states of either numbering. */
export const AnyBlockAssemblyClient = makeGenericClientConstructor(
  {
    ...BlockAssemblyAPIService,
    getBlockAssemblyState: {
      ...BlockAssemblyAPIService.getBlockAssemblyState,
      responseDeserialize: decodeAssemblyState,
    },
  },
  BlockAssemblyAPIClient.serviceName,
) as unknown as typeof BlockAssemblyAPIClient;
