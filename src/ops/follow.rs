//! Following the log: one reader a process, however many watch. It renders each new entry once, keeps the newest in
//! memory, and tells those who wait; who is further behind reads the database until they have caught up.

use super::{Context, events};
use crate::{
    db::log,
    error::Result,
    model::event::{Change, Event},
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// Entries kept in memory, at most 32 KiB each and usually some hundred bytes.
const KEPT: usize = 2048;
/// Entries read at a time.
const PAGE: u64 = 500;
/// How soon what another replica appended is seen.
const POLL: Duration = Duration::from_millis(100);

/// An entry as it is sent to all who watch.
pub struct Entry {
    pub event: Event,
    /// A server-sent event.
    pub frame: Bytes,
}

impl Entry {
    fn new(event: Event) -> Self {
        let data = serde_json::to_string(&event).unwrap_or_default();
        let frame = format!("id: {}\nevent: {}\ndata: {data}\n\n", event.position, event.change.kind());
        Self { event, frame: frame.into() }
    }
}

/// What the process knows of the end of the log.
#[derive(Default)]
pub struct Tail {
    started: OnceLock<watch::Receiver<Seen>>,
    kept: Mutex<VecDeque<Arc<Entry>>>,
}

/// How far the log was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Entries before this position were read.
    pub length: i64,
    /// One past the last entry that took rights from somebody.
    pub rights: i64,
}

impl Tail {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept from a position on, up to `most`; `None` where that begins later.
    fn from(&self, position: i64, most: usize) -> Option<Vec<Arc<Entry>>> {
        let kept = self.lock();
        let first = kept.front()?.event.position;
        let skip = usize::try_from(position.checked_sub(first).filter(|skip| *skip >= 0)?).ok()?;
        Some(kept.iter().skip(skip).take(most).cloned().collect())
    }

    fn keep(&self, entry: Entry) {
        let mut kept = self.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::new(entry));
    }
}

/// Who follows the log from a position on.
pub struct Follower {
    cx: Arc<Context>,
    filter: Arc<events::Filter>,
    seen: watch::Receiver<Seen>,
    /// The next entry to look at.
    pub cursor: i64,
}

impl Follower {
    /// From a position on; without one from what happens next. A position that the log has not reached is refused.
    pub async fn new(cx: &Arc<Context>, filter: events::Filter, cursor: Option<i64>) -> Result<Self> {
        let length = events::reach(cx, cursor.unwrap_or_default()).await?;
        let cursor = cursor.unwrap_or(length);
        Ok(Self { seen: start(cx, length), cx: cx.clone(), filter: Arc::new(filter), cursor })
    }

    /// Entries that pass the filter, as soon as there are some; none when the time is up or the process closes.
    pub async fn next(&mut self, longest: Duration) -> Result<Vec<Arc<Entry>>> {
        let deadline = tokio::time::Instant::now() + longest;
        loop {
            let found = self.ready().await?;
            if !found.is_empty() {
                return Ok(found);
            }
            let cursor = self.cursor;
            let grown = async { self.seen.wait_for(|seen| seen.length > cursor).await.is_ok() };
            tokio::select! {
                grown = grown => if !grown { return Ok(Vec::new()) },
                () = tokio::time::sleep_until(deadline) => return Ok(Vec::new()),
                () = self.cx.closing.cancelled() => return Ok(Vec::new()),
            }
        }
    }

    /// One past the last entry that took rights from somebody, as far as is known.
    pub fn rights(&self) -> i64 {
        self.seen.borrow().rights
    }

    /// What there is now from the cursor on, which moves behind it.
    async fn ready(&mut self) -> Result<Vec<Arc<Entry>>> {
        loop {
            let length = self.seen.borrow().length;
            if self.cursor >= length {
                return Ok(Vec::new());
            }
            let mut found = match self.cx.tail.from(self.cursor, PAGE as usize) {
                Some(kept) => {
                    self.cursor = kept.last().map_or(length, |entry| entry.event.position + 1);
                    kept
                }
                // In a box, as who has caught up does not need the room any more.
                None => Box::pin(self.catch_up(length)).await?,
            };
            found.retain(|entry| self.filter.passes(&entry.event));
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    async fn catch_up(&mut self, length: i64) -> Result<Vec<Arc<Entry>>> {
        let page = events::read(&self.cx, &self.filter, self.cursor, PAGE as i64).await?;
        // Beyond what the others have seen nothing is told, so that all are told in one order.
        let is_full = page.len() as u64 == PAGE;
        self.cursor = match page.last() {
            Some(last) if is_full => last.position + 1,
            _ => length.max(page.last().map_or(0, |last| last.position + 1)),
        };
        Ok(page.into_iter().map(|event| Arc::new(Entry::new(event))).collect())
    }
}

/// Makes sure that the log is being read, and answers who tells of it.
fn start(cx: &Arc<Context>, length: i64) -> watch::Receiver<Seen> {
    let begin = || {
        let (seen, receiver) = watch::channel(Seen { length, rights: 0 });
        tokio::spawn(read(cx.clone(), seen));
        receiver
    };
    cx.tail.started.get_or_init(begin).clone()
}

async fn read(cx: Arc<Context>, seen: watch::Sender<Seen>) {
    let mut grown = cx.db.grown();
    let mut now = *seen.borrow();
    loop {
        grown.mark_unchanged();
        match step(&cx, &mut now).await {
            Ok(()) => {
                seen.send_if_modified(|seen| std::mem::replace(seen, now) != now);
            }
            Err(error) => {
                tracing::warn!(?error, "the log cannot be followed, trying again");
                tokio::time::sleep(POLL * 10).await;
            }
        }
        tokio::select! {
            _ = grown.changed() => {}
            // What other replicas append.
            () = tokio::time::sleep(POLL), if !cx.db.is_sqlite() => {}
            () = cx.closing.cancelled() => return,
        }
    }
}

/// Reads what is new.
async fn step(cx: &Context, now: &mut Seen) -> Result<()> {
    if cx.db.epoch().await? <= now.length {
        return Ok(());
    }
    loop {
        let first = u64::try_from(now.length).unwrap_or(0);
        let rows = log::entries(&mut cx.db.read().await?, first, PAGE).await?;
        let is_full = rows.len() as u64 == PAGE;
        for (position, bytes, _) in rows {
            let event = Event::from_bytes(&bytes)?;
            let takes_rights = matches!(
                event.change,
                Change::MemberRemoved { .. }
                    | Change::UserDisabled { .. }
                    | Change::TokenRevoked { .. }
                    | Change::TrustRemoved { .. }
            );
            now.length = position + 1;
            if takes_rights {
                now.rights = now.length;
            }
            cx.tail.keep(Entry::new(event));
        }
        if !is_full {
            return Ok(());
        }
    }
}
