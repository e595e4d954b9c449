//! The real binary: a server on loopback that can be killed, and the command line.

use super::Backend;
use gradus::config::Config;
use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

pub fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_gradus").into()
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// What a server is started with; it can be started again on the same data.
pub struct Setup {
    pub data: PathBuf,
    pub config: PathBuf,
    pub url: String,
    port: u16,
}

impl Setup {
    pub async fn new(backend: Backend, directory: &Path) -> Self {
        Self::with(backend, directory, |_| {}).await
    }

    /// With a changed configuration.
    pub async fn with(backend: Backend, directory: &Path, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = backend.configuration().await;
        change(&mut config);
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let file = directory.join("config.toml");
        std::fs::write(&file, toml::to_string(&config).expect("TOML")).expect("a configuration file");
        let port = free_port();
        let url = format!("{scheme}://127.0.0.1:{port}");
        Self { data: directory.join("data"), config: file, url, port }
    }

    /// Another server of the same registry, which must be on PostgreSQL.
    pub fn beside(&self) -> Self {
        let port = free_port();
        let (data, config) = (self.data.clone(), self.config.clone());
        Self { data, config, url: format!("http://127.0.0.1:{port}"), port }
    }

    /// Starts the server and waits until it is ready. The first start prints the admin's token.
    pub fn start(&self) -> Server {
        let mut child = Command::new(binary())
            .args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--data-dir")
            .arg(&self.data)
            .arg("--config")
            .arg(&self.config)
            .env("GRADUS_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stderr = child.stderr.take().expect("its stderr");
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let server = Server { child, lines, url: self.url.clone() };
        server.wait_until_ready();
        server
    }
}

pub struct Server {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    pub url: String,
}

impl Server {
    fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let is_ready = match self.url.strip_prefix("https://") {
                Some(address) => turns_away(address),
                None => get(&self.url, "/readyz").is_some_and(|head| head.contains(" 200 ")),
            };
            if is_ready {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server did not get ready: {:?}", self.lines.try_iter().collect::<Vec<_>>());
    }

    /// The token the first start printed. It was printed before the server was ready, but may still be on its way here.
    pub fn bootstrap_token(&self) -> Option<String> {
        let deadline = Instant::now() + Duration::from_secs(2);
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            let line = line.trim();
            if line.starts_with("gradus_") {
                return Some(line.to_owned());
            }
        }
        None
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As by `kill`: it is asked to stop.
    pub fn terminate(&self) {
        let done = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.pid())]).status();
        assert!(done.is_ok_and(|status| status.success()), "it can be signalled");
    }

    /// Waits until it has ended.
    pub fn ended(mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server did not end");
    }

    /// As by `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a TLS server is at work: it answers what is no TLS, where one that only listens says nothing.
fn turns_away(address: &str) -> bool {
    use std::io::Write as _;
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    stream.write_all(b"no TLS\r\n\r\n").is_ok() && stream.read(&mut [0; 16]).is_ok()
}

/// The head of an answer to a GET, by a plain socket.
pub fn get(url: &str, path: &str) -> Option<String> {
    use std::io::Write as _;
    let address = url.strip_prefix("http://")?;
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A command line, without the environment of whoever runs the tests.
pub struct Cli {
    command: Command,
}

impl Cli {
    pub fn new(home: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(arguments).stdin(Stdio::null());
        for name in [
            "GRADUS_SERVER",
            "GRADUS_TOKEN",
            "GRADUS_TO_TOKEN",
            "GRADUS_DATA",
            "GRADUS_SECRET",
            "GRADUS_ID_TOKEN",
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
            "XDG_CACHE_HOME",
        ] {
            command.env_remove(name);
        }
        command.env("HOME", home).env("USER", "tester");
        Self { command }
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub fn run(mut self) -> Done {
        let Output { status, stdout, stderr } = self.command.output().expect("the command runs");
        Done {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}

#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// Fails the test unless the command ended so.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}
