//! A proxy on loopback in front of a bucket or a database, that can be told to misbehave.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
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
    /// Every piece takes a while.
    Slow,
}

pub struct Proxy {
    pub address: SocketAddr,
    weather: Arc<AtomicU8>,
    changed: watch::Sender<()>,
}

impl Proxy {
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (weather, (changed, watched)) =
            (Arc::new(AtomicU8::new(Weather::Fine as u8)), watch::channel(()));
        let (target, now) = (target.to_owned(), weather.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if now.load(Ordering::SeqCst) != Weather::Cut as u8 {
                    tokio::spawn(pass(client, target.clone(), now.clone(), watched.clone()));
                }
            }
        });
        Self { address, weather, changed }
    }

    pub fn set(&self, weather: Weather) {
        self.weather.store(weather as u8, Ordering::SeqCst);
        self.changed.send_replace(());
    }
}

async fn pass(client: TcpStream, target: String, weather: Arc<AtomicU8>, mut changed: watch::Receiver<()>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    changed.mark_unchanged();
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        let is = |kind: Weather| weather.load(Ordering::SeqCst) == kind as u8;
        tokio::select! {
            _ = changed.changed() => if is(Weather::Cut) { return },
            read = from_client.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                let head = &asked[..count.min(600)];
                let is_part = head.starts_with(b"PUT ") && head.windows(11).any(|window| window == b"partNumber=");
                if is(Weather::Busy) || is(Weather::PartsFail) && is_part {
                    let _ = to_client.write_all(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
                    return;
                }
                if is(Weather::Slow) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                if to_server.write_all(&asked[..count]).await.is_err() { return }
            }
            read = from_server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                if to_client.write_all(&answered[..count]).await.is_err() { return }
            }
        }
    }
}
