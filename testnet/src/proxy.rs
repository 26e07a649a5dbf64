//! A TCP proxy that makes links slow: delay, jitter, bandwidth, and loss as TCP shows it (everything
//! behind the lost segment waits for its repetition). It works on byte streams, so it can neither
//! reorder nor drop bytes of a connection; who wants packets to vanish filters them.
//!
//! It runs in a thread of its own, so that whoever drives it may block.

use crate::chaos::plan::{NodeIndex, Shape};
use crate::chaos::seed::Numbers;
use anyhow::{Context, Result};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Bytes that are read at once; also what one loss concerns.
const CHUNK_BYTES: usize = 4 * 1024;
/// Chunks on their way per connection and direction; then the sender feels it.
const CHUNKS_IN_FLIGHT: usize = 256;
/// How long TCP waits before it repeats a lost segment, at least.
const REPETITION: Duration = Duration::from_millis(200);
/// How long the other side may take to accept.
const CONNECT: Duration = Duration::from_secs(10);

/// A listener that leads from one node to another.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Who connects to the listener.
    pub from: NodeIndex,
    /// Who is behind it.
    pub to: NodeIndex,
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// Where it connects to.
    pub target: SocketAddr,
}

/// The shapes of all links, to be changed while they are used.
#[derive(Debug)]
pub struct Links {
    shapes: Mutex<Vec<Shape>>,
    nodes: usize,
}

impl Links {
    /// Between so many nodes, all fast.
    pub fn new(nodes: usize) -> Arc<Self> {
        Arc::new(Self { shapes: Mutex::new(vec![Shape::default(); nodes * nodes]), nodes })
    }

    /// Makes every link from and to this node so.
    pub fn shape_all_of(&self, node: NodeIndex, shape: Shape) {
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        for other in 0..self.nodes {
            for link in [node * self.nodes + other, other * self.nodes + node] {
                if let Some(known) = shapes.get_mut(link) {
                    *known = shape;
                }
            }
        }
    }

    /// Makes all links fast again.
    pub fn clear(&self) {
        self.shapes.lock().unwrap_or_else(PoisonError::into_inner).fill(Shape::default());
    }

    fn shape(&self, from: NodeIndex, to: NodeIndex) -> Shape {
        let shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        shapes.get(from * self.nodes + to).copied().unwrap_or_default()
    }
}

/// The running proxy; dropping it closes every connection.
#[derive(Debug)]
pub struct Proxy {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Proxy {
    /// Listens on all routes.
    pub fn start(routes: &[Route], links: &Arc<Links>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut listeners = vec![];
        for route in routes {
            let listener = std::net::TcpListener::bind(route.listen);
            let listener = listener.with_context(|| format!("the proxy cannot listen on {}", route.listen))?;
            listener.set_nonblocking(true)?;
            listeners.push((*route, listener));
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let links = links.clone();
        let serve = async move {
            for (route, listener) in listeners {
                match TcpListener::from_std(listener) {
                    Ok(listener) => drop(tokio::spawn(accept(route, listener, links.clone()))),
                    Err(error) => eprintln!("the proxy gives up {}: {error}", route.listen),
                }
            }
            // Also resolves when the sender is gone.
            let _ = stopped.await;
        };
        let thread = std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || runtime.block_on(serve))
            .context("cannot start the proxy's thread")?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed.
            let _ = thread.join();
        }
    }
}

async fn accept(route: Route, listener: TcpListener, links: Arc<Links>) {
    let mut connections = 0;
    loop {
        match listener.accept().await {
            Ok((inbound, _)) => {
                connections += 1;
                tokio::spawn(carry(route, inbound, links.clone(), connections));
            }
            // Of one connection, or for want of descriptors: later ones may work.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Connects to the target from the listener's own address, by which filters know the link, and carries
/// bytes both ways until either side ends.
async fn carry(route: Route, inbound: TcpStream, links: Arc<Links>, number: u64) {
    let Ok(Ok(outbound)) = tokio::time::timeout(CONNECT, connect(route.listen.ip(), route.target)).await else {
        return;
    };
    // Without it, small messages would wait for each other's acknowledgement.
    if inbound.set_nodelay(true).is_err() || outbound.set_nodelay(true).is_err() {
        return;
    }
    let (inbound_read, inbound_write) = inbound.into_split();
    let (outbound_read, outbound_write) = outbound.into_split();
    let forth = pump(inbound_read, outbound_write, (route.from, route.to), links.clone(), number);
    let back = pump(outbound_read, inbound_write, (route.to, route.from), links, number);
    tokio::select! {
        () = forth => {}
        () = back => {}
    }
}

async fn connect(source: IpAddr, target: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(target).await
}

/// Carries bytes one way; returns when either end is closed.
async fn pump(
    mut reader: OwnedReadHalf, mut writer: OwnedWriteHalf, (from, to): (NodeIndex, NodeIndex), links: Arc<Links>,
    number: u64,
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_IN_FLIGHT);
    let arriving = {
        let links = links.clone();
        async move {
            let mut chance = Numbers::new(number, (from * 1000 + to) as u64);
            let mut last = Instant::now();
            let mut buffer = vec![0; CHUNK_BYTES];
            while let Ok(length @ 1..) = reader.read(&mut buffer).await {
                let shape = links.shape(from, to);
                let mut late = Duration::from_millis(shape.delay_ms + chance.between(0, shape.jitter_ms));
                if chance.between(1, 1000) <= shape.lost_per_mille {
                    late += REPETITION + Duration::from_millis(shape.delay_ms);
                }
                // A stream keeps its order: nothing overtakes what is late.
                last = last.max(Instant::now() + late);
                if sender.send((last, buffer[..length].to_vec())).await.is_err() {
                    return;
                }
            }
        }
    };
    let leaving = async move {
        let mut free = Instant::now();
        while let Some((due, bytes)) = receiver.recv().await {
            let rate = links.shape(from, to).bytes_per_second;
            let start = due.max(free);
            tokio::time::sleep_until(start).await;
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
            if rate > 0 {
                free = start + Duration::from_secs_f64(bytes.len() as f64 / rate as f64);
            }
        }
        // Tells the other side that nothing more comes; it may be gone already.
        let _ = writer.shutdown().await;
    };
    tokio::join!(arriving, leaving);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener as BlockingListener, TcpStream as BlockingStream};

    /// A server that answers each message of 100 kB with the same; its address.
    fn echo() -> SocketAddr {
        let listener = BlockingListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut message = vec![0; 100_000];
                    while stream.read_exact(&mut message).is_ok() && stream.write_all(&message).is_ok() {}
                });
            }
        });
        address
    }

    fn free_port() -> SocketAddr {
        BlockingListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
    }

    fn round_trip(stream: &mut BlockingStream) -> Duration {
        let message: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        let start = std::time::Instant::now();
        stream.write_all(&message).unwrap();
        let mut answer = vec![0; message.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, message);
        start.elapsed()
    }

    #[test]
    fn bytes_arrive_whole_and_as_late_as_told() {
        let links = Links::new(2);
        let route = Route { from: 0, to: 1, listen: free_port(), target: echo() };
        let proxy = Proxy::start(&[route], &links).unwrap();
        let mut stream = BlockingStream::connect(route.listen).unwrap();
        let fast = round_trip(&mut stream);

        links.shape_all_of(1, Shape { delay_ms: 150, jitter_ms: 20, ..Shape::default() });
        let slow = round_trip(&mut stream);
        assert!(slow >= Duration::from_millis(300), "{slow:?}");

        links.shape_all_of(0, Shape { bytes_per_second: 200 * 1024, ..Shape::default() });
        let narrow = round_trip(&mut stream);
        assert!(narrow >= Duration::from_millis(450), "{narrow:?}");

        links.clear();
        let again = round_trip(&mut stream);
        assert!(again < slow, "{fast:?} {again:?}");

        drop(proxy);
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "the connection outlives the proxy");
    }
}
