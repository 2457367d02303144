//! A network that fails without a sign: a TCP proxy that can stop forwarding while its connections stay open.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use socket2::SockRef;

/// Bytes that the system may hold for the proxy: little, so that whoever sends notices soon that nobody reads.
const BUFFER: usize = 64 * 1024;

/// Forwards connections to a server on this machine. Ends with the test.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    links: Arc<Links>,
}

#[derive(Debug, Default)]
struct Links {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Connections so far; each is known by its number.
    opened: u64,
    /// Connections below this number forward nothing, now or later.
    dead_below: u64,
    /// Nothing is forwarded for now.
    frozen: bool,
    over: bool,
}

impl Proxy {
    /// A proxy for the server at `url`, `nats://HOST:PORT`.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn start(url: &str) -> Self {
        let server: SocketAddr = url
            .trim_start_matches("nats://")
            .parse()
            .expect("an address of this machine");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let links = Arc::new(Links::default());
        let accepting = Arc::clone(&links);
        std::thread::spawn(move || accept(&listener, server, &accepting));
        Self { address, links }
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Forwards nothing any more on the connections there are; they stay open. New ones work: what a router does
    /// that has forgotten about its connections.
    pub fn forget_connections(&self) {
        let mut state = self.links.state();
        state.dead_below = state.opened;
    }

    /// Forwards nothing until [`thaw`](Self::thaw), old connections and new ones alike.
    pub fn freeze(&self) {
        self.links.state().frozen = true;
    }

    /// Forwards again, with everything that was held back.
    pub fn thaw(&self) {
        self.links.state().frozen = false;
        self.links.changed.notify_all();
    }

    /// Connections that were made so far.
    pub fn opened(&self) -> u64 {
        self.links.state().opened
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.links.state().over = true;
        self.links.changed.notify_all();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Links {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with the lock")
    }

    fn open(&self) -> u64 {
        let mut state = self.state();
        state.opened += 1;
        state.opened - 1
    }

    /// Waits until this connection may forward; false when it never may again and the proxy is over.
    fn may_forward(&self, number: u64) -> bool {
        let state = self.state();
        let waits = |state: &mut State| !state.over && (state.frozen || number < state.dead_below);
        let state = self.changed.wait_while(state, waits);
        !state.expect("nothing panics with the lock").over
    }
}

fn accept(listener: &TcpListener, server: SocketAddr, links: &Arc<Links>) {
    for client in listener.incoming() {
        let Ok(client) = client else { continue };
        if links.state().over {
            return;
        }
        // A server that is down is one that hangs up.
        let Ok(server) = TcpStream::connect(server) else {
            continue;
        };
        for socket in [&client, &server] {
            let narrowed = SockRef::from(socket).set_recv_buffer_size(BUFFER);
            narrowed.expect("the system lets buffers be small");
        }
        let number = links.open();
        let clones = (client.try_clone(), server.try_clone());
        let (Ok(from_client), Ok(from_server)) = clones else {
            continue;
        };
        let (there, back) = (Arc::clone(links), Arc::clone(links));
        std::thread::spawn(move || forward(from_client, server, number, &there));
        std::thread::spawn(move || forward(from_server, client, number, &back));
    }
}

/// Copies until one side ends, which ends the other. What was read and may not be forwarded waits, so that the
/// sender notices after a while that nobody takes it.
fn forward(mut from: TcpStream, mut to: TcpStream, number: u64, links: &Links) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !links.may_forward(number) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // An end that may not be told is not told either.
    if links.may_forward(number) {
        let _ = to.shutdown(Shutdown::Both);
    }
    let _ = from.shutdown(Shutdown::Both);
}
