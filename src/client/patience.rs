//! Waiting for the other side: as long as anything moves, but not for ever.

use futures_util::{StreamExt as _, stream, stream::BoxStream};
use std::{pin::pin, time::Duration};
use tokio::{
    sync::watch,
    time::{error::Elapsed, timeout},
};

/// Waits for an answer. Gives up when none comes and nothing was sent either for that long.
pub(super) async fn answer<F: Future>(
    longest: Duration,
    mut sent: watch::Receiver<()>,
    answer: F,
) -> Result<F::Output, Elapsed> {
    let mut answer = pin!(answer);
    loop {
        let moved = async {
            tokio::select! {
                answered = &mut answer => Some(answered),
                Ok(()) = sent.changed() => None,
            }
        };
        if let Some(answered) = timeout(longest, moved).await? {
            return Ok(answered);
        }
    }
}

/// How long a server that is asked too often is asked again.
const AGAIN_FOR: Duration = Duration::from_secs(60);

/// Patience with a server that says when to ask again.
#[derive(Default)]
pub(super) struct TooMany {
    times: u32,
    waited: Duration,
}

impl TooMany {
    /// How long to wait before another try, each time longer and at least as the server's `Retry-After` says; `None`: it is
    /// not worth it.
    pub(super) fn wait(&mut self, said: Option<&str>) -> Option<Duration> {
        let said = Duration::from_secs(said.and_then(|said| said.trim().parse().ok()).unwrap_or(1));
        let left = AGAIN_FOR.saturating_sub(self.waited);
        let own = Duration::from_secs(1 << self.times.min(6)).min(left);
        let wait = said.max(own).max(Duration::from_secs(1));
        self.times += 1;
        self.waited = self.waited.saturating_add(wait);
        (self.waited <= AGAIN_FOR).then_some(wait)
    }
}

/// A body whose pieces do not come too far apart.
pub(super) fn body<T: Send + 'static>(
    longest: Duration,
    body: BoxStream<'static, T>,
) -> BoxStream<'static, Result<T, Elapsed>> {
    let pieces = stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match timeout(longest, body.next()).await {
            Ok(piece) => Some((Ok(piece?), Some(body))),
            Err(elapsed) => Some((Err(elapsed), None)),
        }
    });
    pieces.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn what_moves_may_take_any_time_and_silence_ends() {
        let (moved, sent) = watch::channel(());
        let sending = async {
            for _ in 0..25 {
                tokio::time::sleep(LONGEST / 20).await;
                moved.send_replace(());
            }
            "done"
        };
        assert_eq!(answer(LONGEST, sent, sending).await, Ok("done"));
        let (_moved, sent) = watch::channel(());
        assert!(answer(LONGEST, sent, std::future::pending::<()>()).await.is_err());
    }

    #[test]
    fn a_server_is_asked_again_for_a_while() {
        let mut patience = TooMany::default();
        assert_eq!(patience.wait(Some("3")), Some(Duration::from_secs(3)));
        assert_eq!(patience.wait(Some("0")), Some(Duration::from_secs(2)), "it grows by itself");
        // A date, or nothing.
        assert_eq!(patience.wait(Some("Wed, 21 Oct 2026 07:28:00 GMT")), Some(Duration::from_secs(4)));
        assert_eq!(patience.wait(None), Some(Duration::from_secs(8)));
        assert_eq!(patience.wait(Some("44")), None, "that would be more than a minute");
        assert_eq!(TooMany::default().wait(Some("18446744073709551615")), None);
        let mut patience = TooMany::default();
        let waits: Vec<u64> =
            std::iter::from_fn(|| patience.wait(Some("1"))).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 29], "the whole minute");
    }

    #[tokio::test]
    async fn a_body_that_stops_ends_with_an_error() {
        let stuck = stream::iter([1, 2]).chain(stream::pending()).boxed();
        let pieces: Vec<_> = body(LONGEST, stuck).map(|piece| piece.ok()).collect().await;
        assert_eq!(pieces, [Some(1), Some(2), None]);
    }
}
