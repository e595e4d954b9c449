//! TLS: the command line over https, whom it trusts, and what a server refuses to start with.

use crate::harness::{
    Backend,
    certificate::certificate,
    files,
    server::{Cli, Done, Server, Setup},
};
use gradus::config::Tls;
use std::fs;

struct Registry {
    home: tempfile::TempDir,
    server: Server,
    token: String,
}

impl Registry {
    async fn start() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let tls = certificate(home.path())?;
        let setup = Setup::with(Backend::SqliteLocal, home.path(), |config| config.tls = Some(tls)).await;
        let server = setup.start();
        let token = server.bootstrap_token().expect("the first start prints a token");
        Some(Self { home, server, token })
    }

    fn cli(&self, url: &str, arguments: &[&str]) -> Cli {
        let cli = Cli::new(self.home.path(), arguments);
        cli.environment("GRADUS_SERVER", url).environment("GRADUS_TOKEN", &self.token)
    }

    /// As somebody who trusts the authority.
    fn trusting(&self, url: &str, arguments: &[&str]) -> Done {
        let ca = self.home.path().join("ca.crt");
        self.cli(url, arguments).environment("SSL_CERT_FILE", ca.to_str().unwrap()).run()
    }
}

#[tokio::test]
async fn a_registry_is_used_over_tls_with_an_authority_of_ones_own() {
    let Some(registry) = Registry::start().await else { return };
    let url = &registry.server.url;
    assert!(url.starts_with("https://"));
    registry.trusting(url, &["namespace", "create", "acme"]).expect(0);
    let model = files::example("model");
    registry.trusting(url, &["push", model.to_str().unwrap(), "--to", "acme/x"]).expect(0);
    let out = registry.home.path().join("out");
    registry.trusting(url, &["pull", "acme/x:1", "--out", out.to_str().unwrap()]).expect(0);
    let name = "model.safetensors";
    assert_eq!(fs::read(out.join(name)).unwrap(), fs::read(model.join(name)).unwrap());
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused_before_a_token_is_sent() {
    let Some(registry) = Registry::start().await else { return };
    let url = &registry.server.url;
    let stranger = registry.cli(url, &["whoami"]).run().expect(9);
    // The right authority, but the certificate is for another name.
    let other_name = registry.trusting(&url.replace("127.0.0.1", "localhost"), &["whoami"]).expect(9);
    for refused in [stranger, other_name] {
        assert!(refused.stderr.contains("certificate_untrusted"), "{}", refused.stderr);
        assert!(refused.stderr.contains("SSL_CERT_FILE"), "{}", refused.stderr);
        assert!(!refused.stderr.contains(&registry.token), "{}", refused.stderr);
    }
    let ca = fs::read(registry.home.path().join("ca.crt")).unwrap();
    let ca = reqwest::Certificate::from_pem(&ca).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
    let metrics = || async { http.get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap() };
    assert!(!metrics().await.contains("whoami"), "no request came through");
    registry.trusting(url, &["whoami"]).expect(0);
    assert!(metrics().await.contains("whoami"));
}

#[test]
fn a_machine_without_certificates_still_speaks_plain_http() {
    let home = tempfile::tempdir().unwrap();
    let whoami = |url: &str| {
        let cli = Cli::new(home.path(), &["--server", url, "whoami"]);
        cli.environment("SSL_CERT_FILE", "/nowhere").environment("SSL_CERT_DIR", "/nowhere").run()
    };
    let plain = whoami("http://127.0.0.1:9").expect(9);
    assert!(plain.stderr.contains("server_unreachable"), "{}", plain.stderr);
    let tls = whoami("https://127.0.0.1:9").expect(1);
    assert!(tls.stderr.contains("SSL_CERT_FILE"), "{}", tls.stderr);
}

#[tokio::test]
async fn a_bad_certificate_or_key_keeps_a_server_from_starting() {
    let home = tempfile::tempdir().unwrap();
    let Some(good) = certificate(home.path()) else { return };
    let at = |name: &str| home.path().join(name);
    fs::write(at("garbage"), "no PEM").unwrap();
    let (certificate, key) = (&good.certificate, &good.key);
    for (certificate, key) in [
        (&at("missing"), key),
        (certificate, &at("missing")),
        (&at("garbage"), key),
        (certificate, &at("garbage")),
        (certificate, &at("ca.key")),
    ] {
        let tls = Tls { certificate: certificate.clone(), key: key.clone() };
        let setup = Setup::with(Backend::SqliteLocal, home.path(), |config| config.tls = Some(tls)).await;
        let (data, config) = (setup.data.to_str().unwrap(), setup.config.to_str().unwrap());
        let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data, "--config", config];
        let refused = Cli::new(home.path(), &serve).environment("GRADUS_LOG", "info").run().expect(1);
        assert!(refused.stderr.contains("tls_invalid"), "{}", refused.stderr);
        assert!(refused.stderr.contains(certificate.to_str().unwrap()), "{}", refused.stderr);
        assert!(!refused.stderr.contains("listening"), "{}", refused.stderr);
    }
}
