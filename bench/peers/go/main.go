// A peer of the benchmark: grpc-go in front of Extism's Go SDK, which runs guests
// on wazero. It answers caisson.v1.ExecutionService/Execute, so that the same
// frames go to it as to Caisson.
//
// wazero has no fuel. What comes closest is its check of the context, which each
// loop and function then makes: a timeout turns it on.
//
// The mode "unbounded" is "pooled" without that: nothing ever stops a guest.
//
//	peer fresh|pooled|unbounded FOLDER
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// mode is how instances are come by, and whether the time of a call is bounded.
type mode struct{ pooled, bounded bool }

var modes = map[string]mode{
	"fresh":     {bounded: true},
	"pooled":    {pooled: true, bounded: true},
	"unbounded": {pooled: true},
}

const messageBytesMax = 18 << 20

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(words []string) error {
	if len(words) != 2 {
		return fmt.Errorf("usage: peer fresh|pooled|unbounded FOLDER")
	}
	plugins, err := loadPlugins(context.Background(), words[1], modes[words[0]])
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(codec{}),
		grpc.NumStreamWorkers(uint32(runtime.NumCPU())),
		grpc.MaxRecvMsgSize(messageBytesMax),
		grpc.MaxSendMsgSize(messageBytesMax),
	)
	server.RegisterService(serviceOf(plugins), nil)
	fmt.Printf("bench ready grpc=%s\n", listener.Addr())
	return server.Serve(listener)
}

func serviceOf(plugins map[string]*plugin) *grpc.ServiceDesc {
	execute := func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		request := new(executeRequest)
		if err := decode(request); err != nil {
			return nil, err
		}
		found, ok := plugins[request.plugin]
		if !ok {
			return nil, status.Errorf(codes.NotFound, "no plugin %q", request.plugin)
		}
		output, err := found.call(ctx, request.function, request.input)
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		return &executeResponse{output: output}, nil
	}
	return &grpc.ServiceDesc{
		ServiceName: "caisson.v1.ExecutionService",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Execute", Handler: execute}},
	}
}

func loadPlugins(ctx context.Context, folder string, mode mode) (map[string]*plugin, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.wasm"))
	if err != nil {
		return nil, err
	}
	plugins := make(map[string]*plugin)
	for _, path := range paths {
		loaded, err := loadPlugin(ctx, path, mode)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		plugins[strings.TrimSuffix(filepath.Base(path), ".wasm")] = loaded
	}
	return plugins, nil
}
