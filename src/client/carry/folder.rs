//! A folder that may come from anybody: paths are built from digests, no link is followed, nothing but plain files is read.

use super::about;
use crate::{
    blobs::Hasher,
    client::Progress,
    error::{Error, Result},
    model::{
        digest::Digest,
        manifest::{Descriptor, MANIFEST_MAX},
    },
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

pub(super) const LAYOUT: &str = "oci-layout";
pub(super) const INDEX: &str = "index.json";
pub(super) const BLOBS: &str = "blobs";
const PIECE: usize = 512 * 1024;

/// The folder of an image layout.
#[derive(Clone, Debug)]
pub(super) struct Folder(pub PathBuf);

impl Folder {
    pub fn path_of(&self, digest: &Digest) -> PathBuf {
        self.0.join(BLOBS).join(digest.algorithm().name()).join(digest.hex())
    }

    /// Opens a file, from whose name on no link is followed. `None`: it is not there.
    pub fn open(&self, parts: &[&str]) -> Result<Option<File>> {
        let mut path = self.0.clone();
        let (last, folders) = parts.split_last().unwrap_or((&"", &[]));
        for folder in folders {
            path.push(folder);
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Err(refuse(&path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(unreadable(&path, error)),
            }
        }
        path.push(last);
        // A pipe that nobody writes to would be waited for.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(_) if fs::symlink_metadata(&path).is_ok_and(|metadata| !metadata.is_file()) => {
                return Err(refuse(&path));
            }
            Err(error) => return Err(unreadable(&path, error)),
        };
        match file.metadata().map_err(|error| unreadable(&path, error))?.is_file() {
            true => Ok(Some(file)),
            false => Err(refuse(&path)),
        }
    }

    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let file = self.open(&[BLOBS, digest.algorithm().name(), digest.hex()])?;
        file.ok_or_else(|| {
            Error::integrity("blob_missing", format!("the layout lacks what it names: {digest}"))
                .hint("the copy is not whole; write or copy the layout again")
        })
    }

    /// A small file, whole. `None`: it is not there.
    pub fn small(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open(&[name])? else { return Ok(None) };
        let path = self.0.join(name);
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&path, error))?;
        if bytes.len() as u64 > most {
            return Err(Error::too_large(
                "layout_too_large",
                format!("the file has more than {most} bytes: {}", path.display()),
            ));
        }
        Ok(Some(bytes))
    }

    /// A manifest's bytes, of the size its descriptor says. The caller compares the digest.
    pub fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if descriptor.size > MANIFEST_MAX as u64 {
            return Err(Error::too_large(
                "manifest_too_large",
                format!("{}: the manifest has {} bytes", descriptor.digest, descriptor.size),
            )
            .hint(format!("at most {MANIFEST_MAX} bytes")));
        }
        let file = self.sized(descriptor)?;
        let mut bytes = Vec::new();
        file.take(descriptor.size)
            .read_to_end(&mut bytes)
            .map_err(|error| about(&descriptor.digest, error.into()))?;
        Ok(bytes)
    }

    /// Opens a blob that must have the size its descriptor says.
    pub fn sized(&self, descriptor: &Descriptor) -> Result<File> {
        let file = self.open_blob(&descriptor.digest)?;
        let size = file.metadata()?.len();
        if size == descriptor.size {
            return Ok(file);
        }
        Err(Error::integrity(
            "size_mismatch",
            format!("{} is said to have {} bytes, it has: {size}", descriptor.digest, descriptor.size),
        )
        .hint("the copy is not whole, or its index lies; write or copy the layout again"))
    }

    /// Reads a blob to its end, and compares its size and digest with its descriptor.
    pub fn verify(&self, descriptor: &Descriptor, progress: &Progress) -> Result<()> {
        let mut file = self.sized(descriptor)?.take(descriptor.size);
        let mut hasher = Hasher::new(descriptor.digest.algorithm());
        let mut buffer = vec![0; PIECE];
        loop {
            match file.read(&mut buffer).map_err(|error| about(&descriptor.digest, error.into()))? {
                0 => break,
                count => {
                    hasher.update(&buffer[..count]);
                    progress(count as u64);
                }
            }
        }
        match hasher.digest() == descriptor.digest {
            true => Ok(()),
            false => Err(rotten(&descriptor.digest)),
        }
    }
}

pub(super) fn rotten(digest: &Digest) -> Error {
    Error::integrity("digest_mismatch", format!("the bytes do not have the digest: {digest}"))
        .hint("they were damaged on the way, or somebody changed them; write or copy the layout again")
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> Error {
    let mut error = Error::from(source);
    error.message = format!("{}: {}", error.message, path.display());
    error
}

fn refuse(path: &Path) -> Error {
    Error::invalid(
        "layout_file_refused",
        format!("a link, or no plain file where one is needed: {}", path.display()),
    )
    .hint("a layout has plain files and folders only; copy it with: cp -rL")
}
