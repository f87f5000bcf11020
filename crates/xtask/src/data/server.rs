//! An HTTP server on the loopback interface, as good or as bad as a test wants it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request: its path and the first byte of its range, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub path: String,
    pub from: Option<usize>,
}

/// Serves until the test ends; every connection is closed after one answer.
pub struct Server {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` gets the request and its number from 0 on, and returns all the bytes to send.
    pub fn start(answer: impl Fn(&Request, usize) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else { continue };
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request.clone());
                    seen.len() - 1
                };
                let _ = stream.write_all(&answer(&request, number));
            }
        });
        Self { url, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut from = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
    }
    Some(Request { path, from })
}

/// The whole file, or from the byte asked for on, as a server answers that knows ranges.
pub fn with_ranges(content: &[u8], request: &Request) -> Vec<u8> {
    let total = content.len();
    match request.from {
        None => whole(content),
        Some(from) if from >= total => answer(
            "416 Range Not Satisfiable",
            &format!("Content-Range: bytes */{total}\r\nContent-Length: 0\r\n"),
            b"",
        ),
        Some(from) => {
            let rest = &content[from..];
            let headers = format!(
                "Content-Range: bytes {from}-{}/{total}\r\nContent-Length: {}\r\n",
                total - 1,
                rest.len()
            );
            answer("206 Partial Content", &headers, rest)
        }
    }
}

/// The whole file, whatever was asked for.
pub fn whole(content: &[u8]) -> Vec<u8> {
    answer("200 OK", &format!("Content-Length: {}\r\n", content.len()), content)
}

/// Any answer.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
