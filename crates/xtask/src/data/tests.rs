use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Result;

use super::download::{Downloader, Progress};
use super::server::{Request, Server, answer, whole, with_ranges};
use super::*;

const TABLE: &[u8] = b"1\t2\n3\t4\n5\t6\n";

#[derive(Default)]
struct Heard {
    at: Mutex<Vec<(u64, Option<u64>)>>,
    troubles: Mutex<Vec<String>>,
}

impl Progress for Heard {
    fn at(&self, done: u64, total: Option<u64>) {
        self.at.lock().unwrap().push((done, total));
    }
    fn trouble(&self, what: &str) {
        self.troubles.lock().unwrap().push(what.to_owned());
    }
}

struct Place {
    directory: tempfile::TempDir,
    heard: Heard,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            heard: Heard::default(),
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("X.tsv")
    }

    fn part(&self) -> PathBuf {
        self.directory.path().join("X.tsv.part")
    }

    fn fetch(&self, server: &Server, attempts: u32) -> Result<u64> {
        let check = |path: &Path| table::check(path, 3);
        Downloader::for_tests(attempts).fetch(&format!("{}/X.tsv", server.url), &self.file(), &self.heard, &check)
    }

    fn error(&self, server: &Server, attempts: u32) -> String {
        format!("{:#}", self.fetch(server, attempts).unwrap_err())
    }

    fn assert_whole(&self) {
        assert_eq!(fs::read(self.file()).unwrap(), TABLE);
        assert!(!self.part().exists());
    }
}

/// Announces everything, sends the first bytes only.
fn broken_off(bytes: usize) -> Vec<u8> {
    answer(
        "200 OK",
        &format!("Content-Length: {}\r\n", TABLE.len()),
        &TABLE[..bytes],
    )
}

#[test]
fn a_file_comes_whole_and_progress_is_told() {
    let server = Server::start(|request, _| with_ranges(TABLE, request));
    let place = Place::new();
    assert_eq!(place.fetch(&server, 1).unwrap(), 12);
    place.assert_whole();
    let heard = place.heard.at.lock().unwrap();
    assert_eq!(
        (heard.first(), heard.last()),
        (Some(&(0, Some(12))), Some(&(12, Some(12))))
    );
}

#[test]
fn an_interrupted_transfer_goes_on_where_it_stopped() {
    let server = Server::start(|request, number| {
        if number == 0 {
            broken_off(5)
        } else {
            with_ranges(TABLE, request)
        }
    });
    let place = Place::new();
    assert_eq!(place.fetch(&server, 2).unwrap(), 12);
    place.assert_whole();
    assert_eq!(server.requests()[1].from, Some(5));
    let troubles = place.heard.troubles.lock().unwrap();
    assert!(troubles[0].contains("broke off after 5 of 12 bytes"), "{troubles:?}");
}

#[test]
fn a_part_of_an_earlier_run_is_continued() {
    let server = Server::start(|request, _| with_ranges(TABLE, request));
    let place = Place::new();
    fs::write(place.part(), &TABLE[..7]).unwrap();
    place.fetch(&server, 1).unwrap();
    place.assert_whole();
    assert_eq!(
        server.requests(),
        [Request {
            path: "/X.tsv".into(),
            from: Some(7)
        }]
    );
}

#[test]
fn a_part_that_was_complete_is_only_renamed() {
    let server = Server::start(|request, _| with_ranges(TABLE, request));
    let place = Place::new();
    fs::write(place.part(), TABLE).unwrap();
    assert_eq!(place.fetch(&server, 1).unwrap(), 12);
    place.assert_whole();
}

#[test]
fn a_server_without_ranges_sends_everything_again() {
    let server = Server::start(|_, _| whole(TABLE));
    let place = Place::new();
    fs::write(place.part(), b"something else altogether").unwrap();
    place.fetch(&server, 1).unwrap();
    place.assert_whole();
}

#[test]
fn a_part_longer_than_the_file_is_thrown_away() {
    let server = Server::start(|request, _| with_ranges(TABLE, request));
    let place = Place::new();
    fs::write(place.part(), b"something else altogether").unwrap();
    place.fetch(&server, 2).unwrap();
    place.assert_whole();
    assert_eq!(
        server.requests().iter().map(|request| request.from).collect::<Vec<_>>(),
        [Some(25), None]
    );
}

#[test]
fn a_server_that_keeps_breaking_off_leaves_a_part_and_no_file() {
    let server = Server::start(|_, _| broken_off(5));
    let place = Place::new();
    let error = place.error(&server, 3);
    assert!(
        error.contains("after 3 attempts") && error.contains("5 of 12 bytes"),
        "{error}"
    );
    assert!(!place.file().exists());
    assert_eq!(fs::read(place.part()).unwrap(), &TABLE[..5]);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_body_of_unknown_length_is_refused() {
    let server = Server::start(|_, _| answer("200 OK", "", TABLE));
    let place = Place::new();
    let error = place.error(&server, 3);
    assert!(error.contains("does not say how long the file is"), "{error}");
    assert_eq!(server.requests().len(), 1);
    assert!(!place.file().exists() && !place.part().exists());
}

#[test]
fn a_body_in_chunks_counts_only_with_its_last_chunk() {
    let chunked = |end: &str| {
        let body = format!("{:x}\r\n{}\r\n{end}", TABLE.len(), String::from_utf8_lossy(TABLE));
        answer("200 OK", "Transfer-Encoding: chunked\r\n", body.as_bytes())
    };
    let server = Server::start(move |_, number| chunked(if number == 0 { "" } else { "0\r\n\r\n" }));
    let place = Place::new();
    assert!(place.error(&server, 1).contains("broke off after 12 bytes"));
    assert!(!place.file().exists());
    place.fetch(&server, 1).unwrap();
    place.assert_whole();
}

#[test]
fn a_length_too_small_is_noticed_by_the_rows() {
    let server = Server::start(|_, _| answer("200 OK", "Content-Length: 8\r\n", TABLE));
    let place = Place::new();
    assert!(
        place
            .error(&server, 1)
            .contains("it has 2 lines, the tutorial's table has 3")
    );
    assert!(!place.file().exists());
}

#[test]
fn a_file_that_is_not_there_is_asked_for_once() {
    let server = Server::start(|_, _| answer("404 Not Found", "Content-Length: 0\r\n", b""));
    let place = Place::new();
    let error = place.error(&server, 5);
    assert!(error.contains("/X.tsv answers 404 Not Found"), "{error}");
    assert_eq!(server.requests().len(), 1);
    assert!(!place.file().exists() && !place.part().exists());
}

#[test]
fn a_busy_server_is_asked_again() {
    let server = Server::start(|request, number| {
        if number == 0 {
            answer("503 Service Unavailable", "Content-Length: 0\r\n", b"")
        } else {
            with_ranges(TABLE, request)
        }
    });
    let place = Place::new();
    place.fetch(&server, 2).unwrap();
    place.assert_whole();
}

#[test]
fn another_part_than_the_one_asked_for_is_not_appended() {
    let server = Server::start(|request, _| match request.from {
        Some(_) => answer(
            "206 Partial Content",
            "Content-Range: bytes 0-11/12\r\nContent-Length: 12\r\n",
            TABLE,
        ),
        None => whole(TABLE),
    });
    let place = Place::new();
    fs::write(place.part(), &TABLE[..5]).unwrap();
    place.fetch(&server, 2).unwrap();
    place.assert_whole();
}

#[test]
fn all_files_of_a_tutorial_come_from_its_zenodo_record_and_are_not_fetched_twice() {
    let server = Server::start(|request, _| {
        let lines = if request.path.contains("train") { 39 } else { 35 };
        whole("1\t2\n".repeat(lines).as_bytes())
    });
    let directory = tempfile::tempdir().unwrap();
    let args = Args {
        directory: directory.path().to_owned(),
        base_url: format!("{}/", server.url),
        only: Some("intro".to_owned()),
    };
    fetch_all(&Downloader::for_tests(1), &args).unwrap();
    fetch_all(&Downloader::for_tests(1), &args).unwrap();
    let paths: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    let wanted =
        ["X_train", "y_train", "X_test", "y_test"].map(|name| format!("/records/3706539/files/{name}.tsv?download=1"));
    assert_eq!(paths, wanted);
    assert!(directory.path().join("leukemia/y_test.tsv").is_file());
}
