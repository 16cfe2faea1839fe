//! caisson.v1.ExecutionService/Execute, as tonic's generated code would have it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::messages::{ExecuteRequest, ExecuteResponse, Execution, OUTCOME_OK};
use crate::plugin::Plugin;

const MESSAGE_BYTES_MAX: usize = 18 << 20;

#[derive(Clone)]
pub struct ExecutionServer {
    plugins: Arc<HashMap<String, Arc<Plugin>>>,
}

impl ExecutionServer {
    pub fn new(plugins: HashMap<String, Arc<Plugin>>) -> Self {
        Self {
            plugins: Arc::new(plugins),
        }
    }
}

impl NamedService for ExecutionServer {
    const NAME: &'static str = "caisson.v1.ExecutionService";
}

impl Service<http::Request<Body>> for ExecutionServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let execute = Execute(self.plugins.clone());
        Box::pin(async move {
            if request.uri().path() != "/caisson.v1.ExecutionService/Execute" {
                return Ok(Status::unimplemented("only Execute is here").into_http());
            }
            let mut grpc = Grpc::new(ProstCodec::<ExecuteResponse, ExecuteRequest>::default())
                .apply_max_message_size_config(Some(MESSAGE_BYTES_MAX), Some(MESSAGE_BYTES_MAX));
            Ok(grpc.unary(execute, request).await)
        })
    }
}

struct Execute(Arc<HashMap<String, Arc<Plugin>>>);

impl UnaryService<ExecuteRequest> for Execute {
    type Response = ExecuteResponse;
    type Future = BoxFuture<Response<ExecuteResponse>, Status>;

    fn call(&mut self, request: Request<ExecuteRequest>) -> Self::Future {
        let request = request.into_inner();
        let found = self.0.get(&request.plugin).cloned();
        Box::pin(async move {
            let plugin = found.ok_or_else(|| Status::not_found(format!("no plugin {:?}", request.plugin)))?;
            let output = tokio::task::spawn_blocking(move || plugin.call(&request.function, &request.input))
                .await
                .map_err(|error| Status::internal(error.to_string()))?
                .map_err(|error| Status::internal(error.to_string()))?;
            let execution = Execution {
                outcome: OUTCOME_OK,
                output,
            };
            Ok(Response::new(ExecuteResponse {
                execution: Some(execution),
            }))
        })
    }
}
