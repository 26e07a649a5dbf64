//! One real `qz-node` process under clients that are slow, many, greedy or wrong; its health, metrics and
//! configuration.
#![allow(clippy::unwrap_used)]

mod network;

use std::time::{Duration, Instant};

use network::Network;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(30);
/// A client that does nothing wrong is served within this.
const PROMPT: Duration = Duration::from_secs(5);

/// A consortium of which only the court's node runs.
async fn court(config: Value) -> Network {
    let mut network = Network::prepare(4);
    network.configure("court", &config);
    network.start_node("court");
    network.wait_until_serving("court", PATIENCE).await;
    network
}

fn rpc_address(network: &Network, name: &str) -> String {
    let home = qz_genesis::Home::open(&network.home(name)).unwrap();
    let url = home.organisation().validator.as_ref().unwrap().rpc_url.clone();
    url.strip_prefix("https://").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_slow_connections_do_not_keep_a_client_out() {
    let network = court(json!({
        "rpc_handshakes": 64, "rpc_connections": 128, "rpc_connections_per_organisation": 32,
        "rpc_handshake_ms": 60_000, "rpc_header_ms": 600_000,
    }))
    .await;
    let address = rpc_address(&network, "court");
    let serve = |what: &'static str| {
        let network = &network;
        async move {
            let begun = Instant::now();
            network.client("court").status().await.unwrap();
            assert!(begun.elapsed() < PROMPT, "{what}: {:?}", begun.elapsed());
        }
    };

    // Strangers that never begin the handshake, and one that sends half of a hello.
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    silent[299].write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    serve("strangers").await;

    // A member whose program opens connections and never finishes a request.
    let mut unfinished = Vec::new();
    for _ in 0..60 {
        let mut stream = network::raw::connect(&network.home("court")).await;
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: ").await.unwrap();
        unfinished.push(stream);
    }
    serve("unfinished requests").await;

    // The oldest had to go; the newest are still there.
    let mut first = [0];
    let gone = tokio::time::timeout(PROMPT, silent[0].read(&mut first)).await.unwrap();
    assert!(matches!(gone, Ok(0) | Err(_)));
    let newest = tokio::time::timeout(Duration::from_millis(200), silent[299].read(&mut first)).await;
    assert!(newest.is_err(), "{newest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_rates_and_methods_have_their_bounds() {
    let network = court(json!({
        "rpc_body_ms": 1_000, "rpc_requests_per_second": 10, "rpc_request_burst": 40,
    }))
    .await;
    let home = network.home("court");
    let post = |path: &str, length: usize, body: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
    };

    // A body that never ends, and one that is announced too large for its route.
    let begun = Instant::now();
    let slow = network::raw::ask(&home, post("/v1/submissions", 1_000, "few").as_bytes()).await;
    assert_eq!(slow, (408, "request.slow".to_owned()));
    assert!(begun.elapsed() >= Duration::from_secs(1) && begun.elapsed() < PROMPT);
    for (path, length) in [("/v1/submissions", 10 << 20), ("/v1/proof", 2 << 20), ("/v1/unknown", 1), ("/v1/status", 1)]
    {
        let (status, code) = network::raw::ask(&home, post(path, length, "").as_bytes()).await;
        assert_eq!((status, code.as_str()), (413, "request.too_large"), "{path}");
    }
    for (request, expected) in [
        ("PUT /v1/proof", (405, "request.method")),
        ("GET /v1/nothing/here", (404, "not_found")),
        ("GET /v1/submissions?wait=x", (405, "request.method")),
        ("GET /v1/blocks/-1", (404, "not_found")),
    ] {
        let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let (status, code) = network::raw::ask(&home, request.as_bytes()).await;
        assert_eq!((status, code.as_str()), expected, "{request}");
    }

    // One organisation's flood is cut; it is told to come back, and may.
    let mut stream = network::raw::connect(&home).await;
    let request = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request.repeat(60).as_bytes()).await.unwrap();
    let mut answers = String::new();
    while answers.matches("HTTP/1.1 ").count() < 60 {
        let mut bytes = vec![0; 65_536];
        let count = tokio::time::timeout(PROMPT, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert!(count > 0, "{answers}");
        answers.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert!(answers.contains("HTTP/1.1 429") && answers.contains("retry-after: 1") && answers.contains("node.rate"));
    assert!(answers.contains("HTTP/1.1 200"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    network.client("court").status().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_says_why_and_the_monitor_needs_no_certificate() {
    let monitor = format!("127.0.0.1:{}", network::free_ports(1)[0]);
    let network = court(json!({ "monitor_listen": monitor, "log_format": "json" })).await;

    let (status, body) = network::raw::plain(&monitor, "/health/live").await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = network::raw::plain(&monitor, "/health/ready").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["ready"]), (503, &json!(false)), "alone nothing can be decided");
    let reasons = body["reasons"].as_array().unwrap();
    let alone = reasons.iter().find(|reason| reason["code"] == "node.no_quorum").unwrap();
    assert!(alone["message_zh"].as_str().unwrap().contains("共识"));
    assert!(alone["message_en"].as_str().unwrap().contains("2 are needed"));
    // Nothing else is served there, and members see the same over TLS.
    assert_eq!(network::raw::plain(&monitor, "/v1/status").await.0, 404);
    let request = b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(network::raw::ask(&network.home("court"), request).await.0, 503);

    let (status, text) = network::raw::plain(&monitor, "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("\nqz_height 0\n") && text.contains("\nqz_ready 0\n") && text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("qz_rpc_requests_total{route=\"/v1/status\",status=\"200\"}"), "{text}");

    // Every line of the log is one JSON object with a level and a message.
    let log = network.log("court");
    assert!(log.lines().count() >= 2, "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn the_configuration_can_be_seen_and_a_wrong_one_is_refused() {
    let network = Network::prepare(4);
    network.configure("court", &json!({ "heartbeat_ms": 1_000, "rpc_proofs": 3 }));
    let shown = network.run_output("config", "court", &["--json", "--set", "heartbeat_ms=2000"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["heartbeat_ms"], json!({ "value": 2000, "source": "flag" }));
    assert_eq!(shown["rpc_proofs"], json!({ "value": 3, "source": "node.json" }));
    assert_eq!(shown["rpc_listen"]["source"], "genesis");
    let lines = String::from_utf8(network.run_output("config", "court", &[]).stdout).unwrap();
    assert!(lines.lines().any(|line| line == "heartbeat_ms = 1000  # node.json"), "{lines}");

    for command in ["run", "config", "status"] {
        network.configure("court", &json!({ "hartbeat_ms": 1_000 }));
        let refused = network.run_output(command, "court", &[]);
        assert_eq!(refused.status.code(), Some(78), "{command}");
        let line = String::from_utf8(refused.stderr).unwrap();
        assert!(line.contains("`heartbeat_ms`") && line.trim().lines().count() == 1, "{line}");
    }
}
