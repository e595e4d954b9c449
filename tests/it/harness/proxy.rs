//! A proxy on loopback in front of a bucket or a database, that can be told to misbehave.

use super::{Backend, Env, variable};
use gradus::config::Config;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Weather {
    Fine,
    /// Every connection is cut, those that are open too.
    Cut,
    /// Every HTTP request is answered with 503.
    Busy,
    /// Only parts of multipart uploads are answered with 503.
    PartsFail,
    /// Every piece takes a while, either way.
    Slow,
    /// What is sent is swallowed: no answer comes, and the connection stays.
    Silent,
    /// Nobody listens.
    Gone,
}

const SLOW: Duration = Duration::from_millis(20);
const METHODS: [&[u8]; 6] = [b"GET ", b"HEAD ", b"PUT ", b"POST ", b"PATCH ", b"DELETE "];

pub struct Proxy {
    pub address: SocketAddr,
    weather: Arc<AtomicU8>,
    changed: watch::Sender<()>,
    heads: Heads,
}

/// The beginnings of the requests that came through.
type Heads = Arc<Mutex<Vec<String>>>;

/// A registry whose bucket is reached through a proxy.
pub async fn behind_s3_proxy(change: impl FnOnce(&mut Config)) -> Option<(Env, Proxy)> {
    if !Backend::SqliteS3.is_there() {
        return None;
    }
    let proxy = Proxy::to_s3().await;
    let env = Env::with(Backend::SqliteS3, |config| {
        proxy.redirect(config);
        change(config);
    });
    let env = env.await;
    env.namespace("acme").await;
    Some((env, proxy))
}

impl Proxy {
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (weather, (changed, watched)) =
            (Arc::new(AtomicU8::new(Weather::Fine as u8)), watch::channel(()));
        let heads = Heads::default();
        let (target, now, heard) = (target.to_owned(), weather.clone(), heads.clone());
        tokio::spawn(async move {
            let (mut listener, mut turned) = (listener, watched.clone());
            let is = |kind: Weather| now.load(Ordering::SeqCst) == kind as u8;
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { return };
                        if !is(Weather::Cut) && !is(Weather::Gone) {
                            tokio::spawn(pass(client, target.clone(), now.clone(), watched.clone(), heard.clone()));
                        }
                    }
                    turn = turned.changed() => {
                        if turn.is_err() { return }
                        if is(Weather::Gone) {
                            drop(listener);
                            while is(Weather::Gone) && turned.changed().await.is_ok() {}
                            listener = TcpListener::bind(address).await.expect("the same port");
                        }
                    }
                }
            }
        });
        Self { address, weather, changed, heads }
    }

    pub async fn to_s3() -> Self {
        Self::to(variable("GRADUS_TEST_S3_ENDPOINT").strip_prefix("http://").expect("plain HTTP")).await
    }

    /// The bucket of a configuration is to be reached through this proxy.
    pub fn redirect(&self, config: &mut Config) {
        config.stores[0].options.insert("endpoint".into(), format!("http://{}", self.address));
    }

    /// The requests that came through so far, from the method to the headers.
    pub fn requests(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }

    pub fn set(&self, weather: Weather) {
        self.weather.store(weather as u8, Ordering::SeqCst);
        self.changed.send_replace(());
    }
}

async fn pass(
    client: TcpStream,
    target: String,
    weather: Arc<AtomicU8>,
    mut changed: watch::Receiver<()>,
    heads: Heads,
) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    changed.mark_unchanged();
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        let is = |kind: Weather| weather.load(Ordering::SeqCst) == kind as u8;
        tokio::select! {
            turn = changed.changed() => if turn.is_err() || is(Weather::Cut) || is(Weather::Gone) { return },
            read = from_client.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                let head = &asked[..count.min(600)];
                let is_part = head.starts_with(b"PUT ") && head.windows(11).any(|window| window == b"partNumber=");
                if is(Weather::Busy) || is(Weather::PartsFail) && is_part {
                    let _ = to_client.write_all(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
                    return;
                }
                if METHODS.iter().any(|method| head.starts_with(method)) {
                    heads.lock().expect("no panic").push(head_of(&asked[..count]));
                }
                if is(Weather::Silent) { return swallow(&weather, &mut changed).await }
                if is(Weather::Slow) { tokio::time::sleep(SLOW).await }
                if to_server.write_all(&asked[..count]).await.is_err() { return }
            }
            read = from_server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                if is(Weather::Silent) { return swallow(&weather, &mut changed).await }
                if is(Weather::Slow) { tokio::time::sleep(SLOW).await }
                if to_client.write_all(&answered[..count]).await.is_err() { return }
            }
        }
    }
}

/// Keeps a connection open, without a word, until the weather changes.
async fn swallow(weather: &AtomicU8, changed: &mut watch::Receiver<()>) {
    let is_silent = || weather.load(Ordering::SeqCst) == Weather::Silent as u8;
    while is_silent() && changed.changed().await.is_ok() {}
}

fn head_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.split("\r\n\r\n").next().unwrap_or_default().to_owned()
}
