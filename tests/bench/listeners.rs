//! Those who listen, for `tests/bench/run`: receivers of hooks on loopback, or watchers of the log.
//!
//! `listeners receive LIVE SILENT CLOSED` opens receivers: live ones take what comes, silent ones never answer, closed ones
//! take no connection. Prints their URLs. `listeners watch URL COUNT` follows the log of a registry by so many streams,
//! with the token in GRADUS_TOKEN. Prints their number once all have begun.
//!
//! Then each line on stdin is answered by a line of JSON: `wait COUNT SECONDS` says how much was heard, as soon as it is
//! that much or the time is up; `take` tells all that was heard since, as `[who, when, what]`. `when` is in seconds on the
//! machine's monotonic clock, which other processes can read too.
#![allow(clippy::print_stdout)]

use axum::{Router, http::StatusCode, routing::post};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(usize, f64, String)>>>);

impl Heard {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(usize, f64, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, who: usize, what: String) {
        let now = clock_gettime(ClockId::Monotonic);
        self.lock().push((who, now.tv_sec as f64 + now.tv_nsec as f64 / 1e9, what));
    }

    async fn wait(&self, count: usize, longest: Duration) -> usize {
        let deadline = Instant::now() + longest;
        loop {
            let heard = self.lock().len();
            if heard >= count || Instant::now() >= deadline {
                return heard;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn receive(heard: &Heard, live: usize, silent: usize, closed: usize) -> Result<(), Failure> {
    let mut urls = Vec::new();
    for who in 0..live + silent + closed {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        urls.push(format!("http://{}/hook", listener.local_addr()?));
        let heard = heard.clone();
        let take = move |body: String| async move {
            if who >= live {
                return std::future::pending().await;
            }
            heard.note(who, body);
            StatusCode::NO_CONTENT
        };
        if who < live + silent {
            tokio::spawn(axum::serve(listener, Router::new().route("/hook", post(take))).into_future());
        }
    }
    println!("{}", json!(urls));
    Ok(())
}

async fn watch(heard: &Heard, url: &str, count: usize) -> Result<(), Failure> {
    let address: Arc<str> = url.trim_start_matches("http://").into();
    let token: Arc<str> = std::env::var("GRADUS_TOKEN")?.into();
    let (begun, mut begins) = mpsc::channel(count);
    for who in 0..count {
        let (heard, address, token, begun) = (heard.clone(), address.clone(), token.clone(), begun.clone());
        tokio::spawn(async move {
            if let Err(error) = follow(&heard, who, &address, &token, begun).await {
                println!("{}", json!(format!("a watcher ended: {error}")));
            }
        });
    }
    for _ in 0..count {
        begins.recv().await;
    }
    println!("{count}");
    Ok(())
}

/// Follows the log, and notes the position of each entry. What lies around the entries is HTTP, and has no such lines.
async fn follow(
    heard: &Heard,
    who: usize,
    address: &str,
    token: &str,
    begun: mpsc::Sender<()>,
) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next_line().await?.unwrap_or_default();
    if !status.contains(" 200 ") {
        return Err(status.into());
    }
    while let Some(line) = lines.next_line().await? {
        if let Some(position) = line.strip_prefix("id: ") {
            heard.note(who, position.to_owned());
        } else if line.starts_with("retry: ") {
            begun.send(()).await?;
        }
    }
    Err("the stream has ended".into())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let heard = Heard::default();
    match given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["receive", live, silent, closed] => {
            receive(&heard, live.parse()?, silent.parse()?, closed.parse()?).await?;
        }
        ["watch", url, count] => watch(&heard, url, count.parse()?).await?,
        _ => return Err("listeners receive LIVE SILENT CLOSED, or listeners watch URL COUNT".into()),
    }
    // This task may block: all others run on the runtime's own threads.
    for line in std::io::stdin().lines() {
        let line = line?;
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["wait", count, seconds] => {
                println!("{}", heard.wait(count.parse()?, Duration::from_secs(seconds.parse()?)).await);
            }
            ["take"] => {
                let all = std::mem::take(&mut *heard.lock());
                println!("{}", json!(all));
            }
            _ => return Err(format!("wait COUNT SECONDS, or take, not: {line}").into()),
        }
    }
    Ok(())
}
