//! A peer of the benchmark: tonic in front of Extism, which runs guests on wasmtime
//! with fuel on. It answers caisson.v1.ExecutionService/Execute, so that the same
//! frames go to it as to Caisson.
//!
//!     peer fresh|pooled FOLDER

mod messages;
mod plugin;
mod service;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use plugin::Plugin;
use service::ExecutionServer;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mode, folder] = words.as_slice() else {
        return Err("usage: peer fresh|pooled FOLDER".into());
    };
    let plugins = load_plugins(Path::new(folder), mode == "pooled")?;
    let processors = std::thread::available_parallelism()?.get();
    // Guests take their processor for as long as they like: they run on threads for such work, one for each processor.
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(processors)
        .build()?
        .block_on(serve(plugins))
}

async fn serve(plugins: HashMap<String, Arc<Plugin>>) -> Result<(), Failure> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
    println!("bench ready grpc={}", incoming.local_addr()?);
    Server::builder()
        .add_service(ExecutionServer::new(plugins))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

fn load_plugins(folder: &Path, pooled: bool) -> Result<HashMap<String, Arc<Plugin>>, Failure> {
    let mut plugins = HashMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        plugins.insert(name, Arc::new(Plugin::load(&std::fs::read(&path)?, pooled)?));
    }
    Ok(plugins)
}
