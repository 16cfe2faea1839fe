package main

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of caisson.v1 that a peer needs; it skips the others.
const (
	requestPlugin     = 1
	requestFunction   = 2
	requestInput      = 3
	responseExecution = 1
	executionOutcome  = 2
	executionOutput   = 3
	outcomeOK         = 1
)

type executeRequest struct {
	plugin, function string
	input            []byte
}

type executeResponse struct{ output []byte }

// codec reads and writes the two messages directly, which is cheaper than
// generated code.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(value any) (mem.BufferSlice, error) {
	output := value.(*executeResponse).output
	execution := 2 + protowire.SizeBytes(len(output)) + 1
	bytes := make([]byte, 0, execution+16)
	bytes = protowire.AppendTag(bytes, responseExecution, protowire.BytesType)
	bytes = protowire.AppendVarint(bytes, uint64(execution))
	bytes = protowire.AppendTag(bytes, executionOutcome, protowire.VarintType)
	bytes = protowire.AppendVarint(bytes, outcomeOK)
	bytes = protowire.AppendTag(bytes, executionOutput, protowire.BytesType)
	bytes = protowire.AppendBytes(bytes, output)
	return mem.BufferSlice{mem.SliceBuffer(bytes)}, nil
}

func (codec) Unmarshal(data mem.BufferSlice, value any) error {
	request := value.(*executeRequest)
	// Materialize copies, so that the input may outlive the call's buffers.
	for bytes := data.Materialize(); len(bytes) > 0; {
		number, kind, length := protowire.ConsumeTag(bytes)
		if length < 0 {
			return fmt.Errorf("damaged request: %w", protowire.ParseError(length))
		}
		field := bytes[length:]
		if size := protowire.ConsumeFieldValue(number, kind, field); size >= 0 {
			bytes = field[size:]
		} else {
			return fmt.Errorf("damaged request: %w", protowire.ParseError(size))
		}
		if kind == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(field)
			request.set(number, content)
		}
	}
	return nil
}

func (request *executeRequest) set(number protowire.Number, content []byte) {
	switch number {
	case requestPlugin:
		request.plugin = string(content)
	case requestFunction:
		request.function = string(content)
	case requestInput:
		request.input = content
	}
}
