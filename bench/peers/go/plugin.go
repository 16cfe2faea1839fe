package main

import (
	"context"
	"fmt"
	"sync"

	extism "github.com/extism/go-sdk"
)

const (
	timeoutMs      = 30_000
	memoryPagesMax = 1_024
)

// plugin is one module, compiled once. Instances that are kept wait in a stack.
type plugin struct {
	compiled *extism.CompiledPlugin
	pooled   bool
	mutex    sync.Mutex
	idle     []*extism.Plugin
}

func loadPlugin(ctx context.Context, path string, mode mode) (*plugin, error) {
	manifest := extism.Manifest{
		Wasm:   []extism.Wasm{extism.WasmFile{Path: path}},
		Memory: &extism.ManifestMemory{MaxPages: memoryPagesMax, MaxHttpResponseBytes: -1, MaxVarBytes: -1},
	}
	if mode.bounded {
		manifest.Timeout = timeoutMs
	}
	compiled, err := extism.NewCompiledPlugin(ctx, manifest, extism.PluginConfig{}, nil)
	if err != nil {
		return nil, err
	}
	return &plugin{compiled: compiled, pooled: mode.pooled}, nil
}

func (p *plugin) call(ctx context.Context, function string, input []byte) ([]byte, error) {
	instance, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	defer p.give(ctx, instance)
	code, output, err := instance.CallWithContext(ctx, function, input)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, fmt.Errorf("%s returned %d", function, code)
	}
	return output, nil
}

func (p *plugin) take(ctx context.Context) (*extism.Plugin, error) {
	p.mutex.Lock()
	if last := len(p.idle) - 1; last >= 0 {
		instance := p.idle[last]
		p.idle = p.idle[:last]
		p.mutex.Unlock()
		return instance, nil
	}
	p.mutex.Unlock()
	return p.compiled.Instance(ctx, extism.PluginInstanceConfig{})
}

func (p *plugin) give(ctx context.Context, instance *extism.Plugin) {
	if !p.pooled {
		_ = instance.Close(ctx)
		return
	}
	p.mutex.Lock()
	p.idle = append(p.idle, instance)
	p.mutex.Unlock()
}
