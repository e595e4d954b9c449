//! Certificates for tests of TLS, by the real openssl.

use gradus::config::Tls;
use std::{fs, path::Path, process::Command};

const EXTENSIONS: &str = "[req]\ndistinguished_name = name\n[name]\n\
    [ca]\nbasicConstraints = critical,CA:TRUE\n\
    [leaf]\nbasicConstraints = critical,CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";

/// A registry's certificate for 127.0.0.1, and the authority that signed it, in `ca.crt`.
pub fn certificate(directory: &Path) -> Option<Tls> {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").current_dir(directory).args(arguments).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(())
    };
    fs::write(directory.join("extensions"), EXTENSIONS).unwrap();
    let new = ["req", "-x509", "-config", "extensions", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
    let make = |more: &[&str]| openssl(&[&new[..], more].concat());
    let ca = ["-subj", "/CN=ca", "-extensions", "ca", "-keyout", "ca.key", "-out", "ca.crt"];
    let signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-extensions", "leaf"];
    let leaf = ["-subj", "/CN=registry", "-keyout", "tls.key", "-out", "tls.crt"];
    if make(&ca).and_then(|()| make(&[&signed[..], &leaf[..]].concat())).is_none() {
        crate::harness::skip("there is no openssl");
        return None;
    }
    Some(Tls { certificate: directory.join("tls.crt"), key: directory.join("tls.key") })
}
