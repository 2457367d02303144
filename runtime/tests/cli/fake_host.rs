//! Hosts that answer what a test wants, or nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// An address where nothing listens: the lowest port, which only root may take. One that was free a moment ago
/// might be somebody else's by now.
pub(crate) fn nobody() -> String {
    "http://127.0.0.1:1".to_owned()
}

/// A host that answers one request with `body`, and what it was asked.
pub(crate) fn answering(status: &str, body: &str) -> (String, JoinHandle<String>) {
    let (listener, host) = listener();
    let answer = response(status, body);
    let thread = std::thread::spawn(move || answer_one(&listener, &answer));
    (host, thread)
}

pub(crate) fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    (listener, host)
}

pub(crate) fn response(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nfoldline-sequence: 1234\r\nconnection: close\r\n\r\n{body}"
    )
}

pub(crate) fn answer_one(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    stream.write_all(answer.as_bytes()).unwrap();
    String::from_utf8(request).unwrap()
}
