//! `gradus sign`, and the signatures that `gradus verify --key` checks.

use super::{argument, evidence, print::Out};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{
        artifact::File,
        digest::Digest,
        evidence::{EvidenceKind, MAX_BYTES},
        manifest::{IMAGE, Manifest},
        reference::Reference,
    },
    signing::{self, PrivateKey, Resource, Verified},
    wire,
};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub struct Sign {
    /// The version, for example acme/ticket-triage:2.0.0
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// The private key, PEM (ECDSA on P-256, P-384 or P-521)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Certificates, PEM, the key's own first; without them the signature names the bare key
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    /// Also write the signature to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only write it, do not attach it to the version
    #[arg(long, requires = "out")]
    no_attach: bool,
}

impl Sign {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let key = PrivateKey::from_pem(&text(&self.key)?)?;
        let chain = self.chain.as_deref().map(text).transpose()?;
        let shown = client.show(&self.reference).await?;
        // What the registry holds is what is signed: nothing is fetched or read again.
        let statement = signing::statement(shown.version.workload.as_str(), &resources(&shown.files))?;
        let bundle = signing::sign(&statement, &key, chain.as_deref())?;
        if let Some(file) = &self.out {
            std::fs::write(file, &bundle).map_err(|source| {
                Error::invalid(
                    "file_unwritable",
                    format!("the signature cannot be written: {}", file.display()),
                )
                .source(source)
            })?;
        }
        let name = format!("{}:{}", shown.version.workload, shown.version.version);
        if self.no_attach {
            return out.done(&json!({ "version": name, "attached": false }), format!("signed {name}"));
        }
        let exact = Reference {
            workload: shown.version.workload.clone(),
            selector: crate::model::reference::Selector::Digest(shown.version.digest.clone()),
        };
        let public = chain.is_none().then(|| key.public_pem());
        let attached =
            client.attach(&exact, Some(EvidenceKind::Signature), public.as_deref(), bundle).await?;
        out.data(&attached, |out| {
            for one in &attached.evidence {
                out.line(format!(
                    "signed {name}: {} {}",
                    evidence::describe(&one.evidence),
                    one.evidence.digest.short()
                ));
            }
            for promoted in &attached.promoted {
                out.line(format!(
                    "promoted {}:{} to {}",
                    promoted.workload, promoted.version, promoted.stage
                ));
            }
        })
    }
}

fn text(file: &std::path::Path) -> Result<String> {
    String::from_utf8(evidence::read(file)?).map_err(|source| {
        Error::invalid("signature_key", format!("not PEM: {}", file.display())).source(source)
    })
}

fn resources(files: &[File]) -> Vec<Resource> {
    files.iter().map(|file| Resource { name: file.path.to_string(), digest: file.digest.clone() }).collect()
}

/// Who is trusted to have signed.
#[derive(Args)]
pub struct Trust {
    /// Also check that it is signed by this: a public key, or the certificate the signer's chain ends at, PEM
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The signature, if it is not attached to the version
    #[arg(long, value_name = "FILE", requires = "key")]
    signature: Option<PathBuf>,
    /// Who the signer's certificate must be made out to
    #[arg(long, value_name = "NAME", requires = "key")]
    identity: Option<String>,
}

impl Trust {
    /// Checks what is trusted to have signed the version, if anything. Answers what was found.
    pub async fn check(&self, client: &Client, reference: &Reference) -> Result<Option<Verified>> {
        let Some(key) = &self.key else { return Ok(None) };
        let trusted = text(key)?;
        let shown = client.show(reference).await?;
        let bundles = match &self.signature {
            Some(file) => vec![evidence::read(file)?],
            None => attached(client, &shown).await?,
        };
        let mut refused = None;
        for bundle in &bundles {
            match self.accept(bundle, &trusted, &shown.files) {
                Ok(verified) => return Ok(Some(verified)),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| {
            Error::integrity("signature_missing", format!("{reference} is not signed"))
                .hint(format!("sign it with: gradus sign {reference} --key KEY.pem"))
        }))
    }

    fn accept(&self, bundle: &[u8], trusted: &str, files: &[File]) -> Result<Verified> {
        let verified = signing::verify(bundle, Some(trusted), chrono::Utc::now().timestamp())?;
        signing::covers(&verified, &resources(files))?;
        match &self.identity {
            Some(wanted) if !verified.names.iter().any(|name| name.is(wanted)) => {
                let names: Vec<String> = verified.names.iter().map(ToString::to_string).collect();
                let found = if names.is_empty() { "nobody that counts".to_owned() } else { names.join(", ") };
                Err(Error::integrity(
                    "signature_identity",
                    format!("it is signed by {found}, not by {wanted}"),
                ))
            }
            _ => Ok(verified),
        }
    }
}

/// The signatures attached to a version, newest first.
async fn attached(client: &Client, shown: &wire::ShowView) -> Result<Vec<Vec<u8>>> {
    let workload = &shown.version.workload;
    let exact: Reference = format!("{workload}@{}", shown.version.digest).parse()?;
    let mut bundles = Vec::new();
    for one in client.evidence(&exact).await?.iter().rev() {
        if one.statement.kind() != EvidenceKind::Signature {
            continue;
        }
        let manifest = Manifest::parse(&client.manifest(workload, &one.digest).await?, Some(IMAGE))?;
        let Some(layer) = manifest.layers.first() else { continue };
        let bytes = client.blob(workload, &layer.digest, MAX_BYTES as u64).await?;
        if Digest::sha256(&bytes) == layer.digest {
            bundles.push(bytes);
        }
    }
    Ok(bundles)
}
