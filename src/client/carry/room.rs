//! Whether there is room for all that a command brings in, asked before the first byte of it is sent: of each namespace every
//! file once, whichever versions and workloads need it, and all versions.

use super::{Carried, Source, Standing, layout::is_reserved};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{
        digest::Digest,
        name::{Namespace, Workload},
    },
    wire::{Present, PresentFile, PresentNeeds},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::BTreeMap;

/// Files asked about at a time.
const ASKED: usize = 1000;

/// What is to come into a namespace.
struct Coming<'a> {
    /// One of those it comes to.
    workload: &'a Workload,
    files: BTreeMap<Digest, u64>,
    versions: u64,
}

impl Client {
    /// Refuses what a quota has no room for. Sends nothing.
    ///
    /// Errors: `quota_exceeded`.
    pub async fn expect_room(&self, work: &[(Carried, Standing)], source: &Source<'_>) -> Result<()> {
        let mut all = BTreeMap::<Namespace, Coming>::new();
        for (carried, standing) in work {
            let workload = &carried.workload;
            let new = || Coming { workload, files: BTreeMap::new(), versions: 0 };
            let coming = all.entry(workload.namespace()).or_insert_with(new);
            coming.versions += u64::from(!standing.is_there);
            coming.files.extend(standing.missing.iter().map(|blob| (blob.digest.clone(), blob.size)));
            coming.files.extend(made(carried, standing, source).await?);
        }
        for coming in all.values() {
            self.ask(coming).await?;
        }
        Ok(())
    }

    async fn ask(&self, coming: &Coming<'_>) -> Result<()> {
        let mut needs = PresentNeeds { bytes: 0, versions: coming.versions };
        let files: Vec<_> = coming.files.iter().collect();
        for some in files.chunks(ASKED) {
            let file =
                |(digest, size): &(&Digest, &u64)| PresentFile { digest: (*digest).clone(), size: **size };
            let files = some.iter().map(file).collect();
            let asked = Present { files, needs: Some(PresentNeeds::default()), ..Present::default() };
            let Some(Present { files: lacking, .. }) = self.ask_room(coming.workload, asked).await? else {
                return Ok(());
            };
            needs.bytes = lacking.iter().fold(needs.bytes, |sum, file| sum.saturating_add(file.size));
        }
        if needs.bytes > 0 || needs.versions > 0 {
            let asked = Present { needs: Some(needs), ..Present::default() };
            self.ask_room(coming.workload, asked).await?;
        }
        Ok(())
    }
}

/// The files that what only informs there is brought along in: the registry keeps them as it keeps all evidence, with an
/// empty configuration.
async fn made(carried: &Carried, standing: &Standing, source: &Source<'_>) -> Result<Vec<(Digest, u64)>> {
    let news =
        carried.said.iter().filter(|one| is_reserved(&one.manifest) && standing.news.contains(&one.digest));
    let work = news.map(|document| async move {
        let bytes = carried.imported(document, source).await?;
        Ok::<_, Error>((Digest::sha256(&bytes), bytes.len() as u64))
    });
    let mut made: Vec<_> = stream::iter(work).buffered(super::AT_A_TIME).try_collect().await?;
    if !made.is_empty() {
        made.push((Digest::sha256(b"{}"), 2));
    }
    Ok(made)
}
