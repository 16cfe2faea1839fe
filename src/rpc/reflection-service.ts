/**
 * grpc.reflection v1 and v1alpha, which differ only in their package, straight
 * from the descriptors. Knows nothing of how services are implemented.
 */

import type { DescFile, DescService } from '@bufbuild/protobuf';
import { ServerReflection, type ServerReflectionRequest } from '../gen/grpc/reflection/v1/reflection_pb.ts';
import {
  ServerReflection as ServerReflectionAlpha,
  type ServerReflectionRequest as ServerReflectionRequestAlpha,
} from '../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { heeding } from './abortable.ts';
import { bindService, type ServiceBinding } from './adapter.ts';
import { DescriptorIndex } from './descriptor-index.ts';
import type { CallContext } from './service-types.ts';
import { statusCodeNumber } from './status.ts';
import { shown } from './violations.ts';

type Question = (ServerReflectionRequest | ServerReflectionRequestAlpha)['messageRequest'];
/** The answers of both versions. */
type Answer =
  | { readonly case: 'listServicesResponse'; readonly value: { service: { name: string }[] } }
  | { readonly case: 'fileDescriptorResponse'; readonly value: { fileDescriptorProto: Uint8Array[] } }
  | {
      readonly case: 'allExtensionNumbersResponse';
      readonly value: { baseTypeName: string; extensionNumber: number[] };
    }
  | { readonly case: 'errorResponse'; readonly value: { errorCode: number; errorMessage: string } };

/** `extraFiles` are those that no service refers to, such as the details of errors. */
export function reflectionOf(
  services: readonly DescService[],
  extraFiles: readonly DescFile[],
): readonly ServiceBinding[] {
  const all = [...services, ServerReflection, ServerReflectionAlpha];
  const index = new DescriptorIndex([...all.map((service) => service.file), ...extraFiles]);
  const names = all.map((service) => service.typeName).sort();
  const answer = (question: Question): Answer => answerTo(question, index, names);
  const options = { servesWhileDraining: true };
  return [
    bindService(
      ServerReflection,
      { serverReflectionInfo: (requests, context) => reflect(requests, context, answer) },
      options,
    ),
    bindService(
      ServerReflectionAlpha,
      { serverReflectionInfo: (requests, context) => reflect(requests, context, answer) },
      options,
    ),
  ];
}

/** Idle clients keep such streams open: the shutdown ends them. */
async function* reflect<Request extends ServerReflectionRequest | ServerReflectionRequestAlpha>(
  requests: AsyncIterable<Request>,
  context: CallContext,
  answer: (question: Question) => Answer,
): AsyncGenerator<{ validHost: string; originalRequest: Request; messageResponse: Answer }> {
  for await (const request of heeding(requests, context.draining)) {
    yield { validHost: request.host, originalRequest: request, messageResponse: answer(request.messageRequest) };
  }
}

function answerTo(question: Question, index: DescriptorIndex, services: readonly string[]): Answer {
  switch (question.case) {
    case 'listServices':
      return { case: 'listServicesResponse', value: { service: services.map((name) => ({ name })) } };
    case 'fileByFilename':
      return fileAnswer(index, index.file(question.value), `file ${shown(question.value)}`);
    case 'fileContainingSymbol':
      return fileAnswer(index, index.fileOfSymbol(question.value), `symbol ${shown(question.value)}`);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = question.value;
      const file = index.fileOfExtension(containingType, extensionNumber);
      return fileAnswer(index, file, `extension ${extensionNumber} of ${shown(containingType)}`);
    }
    case 'allExtensionNumbersOfType':
      return numbersAnswer(index, question.value);
    case undefined:
      return refusal('INVALID_ARGUMENT', 'The request asks for nothing: set one field of message_request');
  }
}

function fileAnswer(index: DescriptorIndex, file: DescFile | undefined, what: string): Answer {
  if (!file) return refusal('NOT_FOUND', `There is no ${what}`);
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto: index.encodedWithDependencies(file) } };
}

function numbersAnswer(index: DescriptorIndex, type: string): Answer {
  const numbers = index.extensionNumbers(type);
  if (!numbers) return refusal('NOT_FOUND', `There is no type ${shown(type)}`);
  return { case: 'allExtensionNumbersResponse', value: { baseTypeName: type, extensionNumber: [...numbers] } };
}

function refusal(code: 'NOT_FOUND' | 'INVALID_ARGUMENT', errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode: statusCodeNumber(code), errorMessage } };
}
