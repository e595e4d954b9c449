//! `gradus sign`, and the signatures that `gradus verify --key` checks.

use super::{argument, evidence, print::Out};
use crate::{
    client::{Client, Contents},
    error::{Error, Kind, Result},
    model::{
        digest::Digest,
        evidence::{EvidenceKind, MAX_BYTES},
        manifest::{IMAGE, Manifest},
        path::FilePath,
        reference::{Reference, Selector},
        resolution::Resolution,
    },
    signing::{self, PrivateKey, Resource, Trusted, Verified},
};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use std::{fmt, path::PathBuf};

const COVERS: &str = "\
    The signature covers all files of the version, with the prompt that goes with an adapter or weights. So PyPI's \
    model-signing verifies it over what `gradus pull` writes, and not over the directory that was pushed if the prompt \
    was not in there. A signature of model-signing over that directory is taken by `gradus eval attach` and \
    `gradus verify`, which says then that the prompt is not covered.";

#[derive(Args)]
#[command(after_help = COVERS)]
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
        let resolved = client.resolve(&self.reference).await?;
        let contents = client.contents(&resolved).await?;
        // What the verified manifest lists is what is signed: no file is fetched or read again.
        let resources: Vec<Resource> = contents.files.iter().map(Resource::from).collect();
        let statement = signing::statement(resolved.workload.as_str(), &resources)?;
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
        let name = format!("{}:{}", resolved.workload, resolved.version);
        if self.no_attach {
            return out.done(&json!({ "version": name, "attached": false }), format!("signed {name}"));
        }
        let exact = exact(&resolved);
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

/// This version and no other, whatever its names come to mean.
fn exact(resolved: &Resolution) -> Reference {
    Reference { workload: resolved.workload.clone(), selector: Selector::Digest(resolved.digest.clone()) }
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
    /// Who the signer's certificate must be made out to: a mail address, a URI or a DNS name; --key is the certificate
    /// that its chain ends at
    #[arg(long, value_name = "NAME", requires = "key")]
    identity: Option<String>,
}

/// A signature that holds.
#[derive(Serialize)]
pub struct Signed {
    key: String,
    root: Option<String>,
    /// Whom the trusted root vouches for. A trusted key comes with no name.
    identity: Option<String>,
    /// A prompt that goes with the signed files and is not signed itself.
    not_covered: Option<FilePath>,
}

impl fmt::Display for Signed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, identity, not_covered, .. } = self;
        let who = identity.as_ref().map(|identity| format!(" by {identity}")).unwrap_or_default();
        write!(out, "signed{who} with key {key}")?;
        match not_covered {
            Some(prompt) => write!(out, "; the prompt is not covered by the signature: {prompt}"),
            None => Ok(()),
        }
    }
}

impl Trust {
    /// Checks who signed what was resolved and verified before, if somebody has to have. Answers what was found.
    pub async fn check(
        &self,
        client: &Client,
        resolved: &Resolution,
        contents: &Contents,
    ) -> Result<Option<Signed>> {
        let Some(key) = &self.key else { return Ok(None) };
        let trusted = Trusted::from_pem(&text(key)?)?;
        if self.identity.is_some() && matches!(trusted, Trusted::Key(_)) {
            return Err(Error::invalid("signature_identity", "a public key says nothing about who holds it")
                .hint(
                    "give as --key the certificate that the signer's chain ends at, or leave --identity out",
                ));
        }
        let bundles = match &self.signature {
            Some(file) => vec![evidence::read(file)?],
            None => attached(client, resolved).await?,
        };
        let mut refused = None;
        for bundle in &bundles {
            match self.accept(bundle, &trusted, contents) {
                Ok(signed) => return Ok(Some(signed)),
                // Whatever is wrong with it, the files are not shown to be what was to be signed.
                Err(error) => refused = Some(Error { kind: Kind::Integrity, ..error }),
            }
        }
        Err(refused.unwrap_or_else(|| {
            let name = format!("{}:{}", resolved.workload, resolved.version);
            Error::integrity("signature_missing", format!("{name} is not signed"))
                .hint(format!("sign it with: gradus sign {name} --key KEY.pem"))
        }))
    }

    fn accept(&self, bundle: &[u8], trusted: &Trusted, contents: &Contents) -> Result<Signed> {
        let verified = signing::verify(bundle, Some(trusted), chrono::Utc::now().timestamp())?;
        let prompt = signing::covers_version(&verified, &contents.files, contents.prompt.as_ref())?;
        let not_covered = prompt.or(contents.beside.as_ref()).map(|prompt| prompt.path.clone());
        let identity = match trusted {
            Trusted::Certificate(_) => self.name(&verified)?,
            Trusted::Key(_) => None,
        };
        Ok(Signed { key: verified.key, root: verified.root, identity, not_covered })
    }

    /// Whom the certificate is made out to: who is wanted, if that is said.
    fn name(&self, verified: &Verified) -> Result<Option<String>> {
        let Some(wanted) = &self.identity else { return Ok(verified.identity()) };
        if verified.names.iter().any(|name| name.is(wanted)) {
            return Ok(Some(wanted.clone()));
        }
        let names: Vec<String> = verified.names.iter().map(ToString::to_string).collect();
        let found = if names.is_empty() { "nobody that counts".to_owned() } else { names.join(", ") };
        Err(Error::integrity("signature_identity", format!("it is signed by {found}, not by {wanted}")))
    }
}

/// The signatures attached to a version, newest first.
async fn attached(client: &Client, resolved: &Resolution) -> Result<Vec<Vec<u8>>> {
    let workload = &resolved.workload;
    let mut bundles = Vec::new();
    for one in client.evidence(&exact(resolved)).await?.iter().rev() {
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
