//! Bounds of the RPC: what one client, one organisation and all of them together may take of this node.
//! The configuration sets them within the ranges that `config` names.

use std::time::Duration;

/// Bounds of the RPC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RpcLimits {
    /// Connections of members that have shown their certificate.
    pub connections: usize,
    /// Of these, connections of one organisation.
    pub connections_per_organisation: usize,
    /// Connections that are still in the TLS handshake. They are counted apart, so that strangers who
    /// never finish one do not take the members' places.
    pub handshakes: usize,
    /// Time for the TLS handshake.
    pub handshake_timeout: Duration,
    /// Time for the headers of a request, and longest pause between two requests.
    pub header_timeout: Duration,
    /// Time for the body of a request.
    pub body_timeout: Duration,
    /// Longest time in which a client takes not one byte of an answer.
    pub write_timeout: Duration,
    /// Time for a handler.
    pub request_timeout: Duration,
    /// Requests per second of one organisation, over a longer time.
    pub requests_per_second: u32,
    /// Requests of one organisation at once.
    pub request_burst: u32,
    /// Proofs that are made at the same time.
    pub proofs: usize,
    /// Largest proof in bytes.
    pub proof_bytes: usize,
    /// Event streams of one organisation.
    pub streams_per_organisation: usize,
    /// Events that wait for one client.
    pub stream_buffer: usize,
    /// How long a full buffer is waited for before the stream ends.
    pub stream_patience: Duration,
    /// Silence on a stream is broken this often.
    pub stream_heartbeat: Duration,
    /// Time for requests in progress when the node stops.
    pub drain: Duration,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_organisation: 128,
            handshakes: 128,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(90),
            requests_per_second: 5_000,
            request_burst: 10_000,
            proofs: 8,
            proof_bytes: <qz_evidence::bundle::Bundle as qz_evidence::codec::Format>::MAX_BYTES,
            streams_per_organisation: 16,
            stream_buffer: 256,
            stream_patience: Duration::from_secs(10),
            stream_heartbeat: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        }
    }
}
