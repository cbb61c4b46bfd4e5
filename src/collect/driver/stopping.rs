//! The driver's end: nothing more is asked for, what is being delivered may come to its end, and
//! what is known is saved.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use super::{Driver, Halt};
use crate::{
    collect::ledger::{Action, Input},
    state::WriteFailed,
};

/// How long a stop waits for batches that are being delivered.
const DRAIN: Duration = Duration::from_secs(20);

impl Driver {
    /// Asks for nothing more, waits for what is being delivered, and saves.
    pub(super) async fn drain(mut self) -> Result<(), Halt> {
        self.fetches.clear();
        let now = self.now();
        let mut saves = self.save(Input::Stop, now);
        let deadline = Instant::now() + DRAIN;
        while !self.pages.is_empty() {
            let Ok(Some(done)) = timeout_at(deadline, self.work.next()).await else {
                info!(
                    tenant = %self.tenant,
                    "stopped with {} pages unacked; the next start delivers them",
                    self.pages.len()
                );
                break;
            };
            if let Some(input) = self.done(done)? {
                let now = self.now();
                saves.extend(self.save(input, now));
            }
        }
        for save in saves {
            save.await?;
        }
        Ok(())
    }

    /// Gives an input to a ledger that asks for nothing more, and saves what it says.
    fn save(
        &mut self,
        input: Input,
        now: DateTime<Utc>,
    ) -> Vec<impl Future<Output = Result<(), WriteFailed>> + use<>> {
        let step = self.ledger.step(input, now, false);
        step.actions
            .into_iter()
            .filter_map(|action| match action {
                Action::Save(stream, changes) => {
                    Some(self.state.save(self.tenant, stream, changes))
                }
                Action::Fetch(_) | Action::Forget(_) | Action::Unproven(..) => None,
            })
            .collect()
    }
}
