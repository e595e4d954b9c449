//! `gradus serve`.

use super::{Global, connect, print::Out};
use crate::{
    config::Config,
    error::Result,
    http, jobs,
    ops::{start, uploads},
};
use clap::Args;
use std::net::SocketAddr;

#[derive(Args)]
pub struct Serve {
    /// Address to listen on [default: 127.0.0.1:8300, or the configuration's]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub async fn run(self, global: &Global, out: &Out) -> Result<()> {
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
        if let Some(token) = start::bootstrap(&context).await? {
            out.note("This registry is new. Its first admin is \"admin\"; this token is shown only now:");
            out.note(format!("  {token}"));
            out.note(format!("Next: GRADUS_TOKEN={token} gradus --server http://{} whoami", config.listen));
        }
        let ticker = jobs::start(&context).await?;
        let router = http::router(context.clone());
        let served = http::serve(&config, router, |address| {
            let scheme = if config.tls.is_some() { "https" } else { "http" };
            tracing::info!(%address, data_dir = %data_dir.display(), "listening on {scheme}://{address}");
        })
        .await;
        if let Some(mut ticker) = ticker {
            let _ = ticker.shutdown().await;
        }
        uploads::settle(&context).await;
        context.db.close().await;
        served
    }
}
