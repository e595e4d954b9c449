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

    #[tokio::test]
    async fn a_body_that_stops_ends_with_an_error() {
        let stuck = stream::iter([1, 2]).chain(stream::pending()).boxed();
        let pieces: Vec<_> = body(LONGEST, stuck).map(|piece| piece.ok()).collect().await;
        assert_eq!(pieces, [Some(1), Some(2), None]);
    }
}
