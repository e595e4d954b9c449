//! Lineage: what versions are made of, and what is made of them. `index` records it, `find` asks for versions by it,
//! `ancestry` goes from a version to all it is made of, `hits` counts what that finds something in, `down` and `up` show the way.

pub(super) mod ancestry;
pub(super) mod down;
pub mod find;
pub(super) mod hits;
pub mod index;
mod nodes;
mod up;

pub use nodes::{Edge, Node, Tree, Version};

use super::{Context, resolve};
use crate::{
    db::lineage::Key,
    error::Result,
    model::{
        access::Actor,
        lineage::{Root, RootKind, wanted},
        reference::Reference,
    },
};

/// Most steps from where a walk begins.
pub const DEPTH_MAX: usize = 32;
/// Most things that a walk comes to.
pub const NODES_MAX: usize = 10_000;

/// Whether a caller may see a workload: how far a walk for them goes.
type Sight<'a> = &'a (dyn Fn(&Key) -> bool + Send + Sync);

/// What was read a moment ago counts too.
pub(super) async fn write_reads(cx: &Context) {
    if let Err(error) = super::reads::flush(cx).await {
        tracing::warn!(?error, "reads are not written down yet");
    }
}

/// What a version is made of, and what is made of it, as far as is asked for and the caller may see.
pub async fn of_version(
    cx: &Context,
    actor: &Actor,
    reference: &Reference,
    (is_up, is_down): (bool, bool),
    depth: usize,
) -> Result<(Option<Tree>, Option<Tree>)> {
    index::require_whole(cx).await?;
    write_reads(cx).await;
    let sees = find::sight(actor);
    let mut tx = cx.db.read().await?;
    let row = resolve::find_any(cx, &mut tx, &reference.workload, &reference.selector).await?;
    let key = (row.workload.clone(), row.sequence);
    let mut trees = (None, None);
    if is_up {
        let mut tree = up::up(&mut tx, &key, depth, &sees).await?;
        tree.fill(&mut tx).await?;
        trees.0 = Some(tree);
    }
    if is_down {
        let root = Root { kind: RootKind::Version, value: row.digest.to_string() };
        let mut tree = down::down(&mut tx, &root, Some(&key), depth, &sees).await?;
        tree.fill(&mut tx).await?;
        tree.fill_readers(cx, actor, &mut tx).await?;
        trees.1 = Some(tree);
    }
    Ok(trees)
}

/// What is made of something that is no version here.
pub async fn of_other(
    cx: &Context,
    actor: &Actor,
    kind: RootKind,
    value: &str,
    depth: usize,
) -> Result<Tree> {
    let root = Root { kind, value: wanted(kind.relation(), value)? };
    index::require_whole(cx).await?;
    write_reads(cx).await;
    let sees = find::sight(actor);
    let mut tx = cx.db.read().await?;
    let mut tree = down::down(&mut tx, &root, None, depth, &sees).await?;
    tree.fill(&mut tx).await?;
    tree.fill_readers(cx, actor, &mut tx).await?;
    Ok(tree)
}
