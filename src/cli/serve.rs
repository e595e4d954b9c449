//! `gradus serve`.

use super::{Global, connect, print::Out};
use crate::{
    config::Config,
    error::Result,
    http, jobs,
    ops::{start, uploads},
};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    time::Duration,
};

#[derive(Args)]
pub struct Serve {
    /// Address to listen on [default: 127.0.0.1:8300, or the configuration's]
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub async fn run(self, global: &Global, out: &Out) -> Result<()> {
        raise_open_files();
        let mut config = connect::load_config(global)?;
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        let data_dir = match &global.data_dir {
            Some(directory) => directory.clone(),
            None => Config::default_data_dir()?,
        };
        let local = connect::open_local(&data_dir, config.clone(), None).await?;
        let context = local.context.clone();
        // The door first: a token that is shown once must not be lost to a port that is taken.
        let door = http::Door::open(&config).await?;
        let url = door.url();
        if let Some(token) = start::bootstrap(&context).await? {
            let public = config.public_url.as_ref().unwrap_or(&url);
            out.note("This registry is new. Its first admin is \"admin\"; this token is shown only now:");
            out.note(format!("  {token}"));
            out.note(format!("Next: GRADUS_TOKEN={token} gradus --server {public} whoami"));
        }
        let mut ticker = jobs::start(&context).await?;
        let deliveries = jobs::deliver::start(&context)?;
        let runs = jobs::drift::start(&context, false);
        let keeper = jobs::reads::start(&context);
        tracing::info!(data_dir = %data_dir.display(), "listening on {url}");
        let served = door.serve(&config, http::router(context.clone()), context.closing.clone()).await;
        let _ = ticker.shutdown().await;
        let longest = Duration::from_secs(config.limits.shutdown_seconds);
        deliveries.close(longest).await;
        runs.close(longest).await;
        uploads::settle(&context).await;
        keeper.close(longest).await;
        context.db.close().await;
        served
    }
}

/// Each connection is an open file, and a shell gives a process a thousand: a thousand watchers, or files of data, would be
/// too many.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, soft = limit.current, "the limit of open files stays as it is");
    }
}

/// `localhost:8300` counts as an address too.
fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| format!("not HOST:PORT: {error}"))?;
    found.next().ok_or_else(|| "the host has no address".to_owned())
}
