//! One module, compiled once, with fuel on, memory bounded and instances from a
//! pool of memory. Instances that are kept wait in a stack.

use std::sync::Mutex;

use extism::{CompiledPlugin, Manifest, PluginBuilder, Wasm};

const FUEL: u64 = 1_000_000_000_000;
const MEMORY_PAGES_MAX: u32 = 1_024;

pub struct Plugin {
    compiled: CompiledPlugin,
    pooled: bool,
    idle: Mutex<Vec<extism::Plugin>>,
}

impl Plugin {
    pub fn load(bytes: &[u8], pooled: bool) -> Result<Self, extism::Error> {
        let manifest = Manifest::new([Wasm::data(bytes)]).with_memory_max(MEMORY_PAGES_MAX);
        let compiled = PluginBuilder::new(manifest)
            .with_cache_disabled()
            .with_fuel_limit(FUEL)
            .with_wasmtime_config(pooling())
            .compile()?;
        Ok(Self {
            compiled,
            pooled,
            idle: Mutex::new(Vec::new()),
        })
    }

    pub fn call(&self, function: &str, input: &[u8]) -> Result<Vec<u8>, extism::Error> {
        let kept = self.idle.lock().expect("no holder panics").pop();
        let mut instance = match kept {
            Some(instance) => instance,
            None => extism::Plugin::new_from_compiled(&self.compiled)?,
        };
        let output = instance.call::<&[u8], Vec<u8>>(function, input)?;
        if self.pooled {
            self.idle.lock().expect("no holder panics").push(instance);
        }
        Ok(output)
    }
}

fn pooling() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config.allocation_strategy(wasmtime::PoolingAllocationConfig::default());
    config
}
