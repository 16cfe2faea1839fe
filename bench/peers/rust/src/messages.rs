//! The fields of caisson.v1 that a peer needs; it skips the others.

pub const OUTCOME_OK: i32 = 1;

#[derive(Clone, PartialEq, prost::Message)]
pub struct ExecuteRequest {
    #[prost(string, tag = "1")]
    pub plugin: String,
    #[prost(string, tag = "2")]
    pub function: String,
    #[prost(bytes = "vec", tag = "3")]
    pub input: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ExecuteResponse {
    #[prost(message, optional, tag = "1")]
    pub execution: Option<Execution>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Execution {
    #[prost(int32, tag = "2")]
    pub outcome: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub output: Vec<u8>,
}
