//! The driver towards those who ask for history.

use futures::FutureExt;

use super::{Done, Driver};
use crate::control::{Asked, Order};

impl Driver {
    /// Takes an order; it is answered when it is safe on disk.
    pub(super) fn order(&mut self, order: Order) {
        let mut asked = Vec::new();
        let mut saves = Vec::new();
        for stream in order.streams {
            if let Some((length, changes)) = self.ledger.ask_for(stream, order.span) {
                asked.push(Asked {
                    tenant_id: self.tenant,
                    stream,
                    secs: length.num_seconds().unsigned_abs(),
                });
                saves.push(self.state.save(self.tenant, stream, changes));
            }
        }
        // Whoever is answered looks how far it is.
        self.put_up_now();
        let saved = async move {
            for save in saves {
                if let Err(error) = save.await {
                    return Done::Saved(Err(error));
                }
            }
            // Whoever asked may have gone; the order stands.
            let _ = order.asked.send(asked);
            Done::Saved(Ok(()))
        };
        self.work.push(saved.boxed());
    }
}
