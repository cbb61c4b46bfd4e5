//! Orders for history: from those who ask to the tenants' drivers.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::{stream::Stream, time::Span};

/// Orders that wait for a tenant's driver at most.
const WAITING: usize = 16;

/// History that somebody asks a tenant's driver for.
#[derive(Debug)]
pub struct Order {
    pub streams: Vec<Stream>,
    pub span: Span,
    /// Answered once the order is saved: what is to be read for it.
    pub asked: oneshot::Sender<Vec<Asked>>,
}

/// What is to be read of a stream for an order: what of it was never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub tenant_id: Uuid,
    pub stream: Stream,
    pub secs: u64,
}

/// Why an order is not taken.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error("tenant {0} is not collected by the running source")]
    NoSuchTenant(Uuid),
    #[error("tenant {0} collects nothing now: `status` says why")]
    NotCollecting(Uuid),
}

/// Where orders for each tenant go.
#[derive(Debug, Default)]
pub struct OrderBook(Mutex<BTreeMap<Uuid, mpsc::Sender<Order>>>);

impl OrderBook {
    /// A tenant's driver takes orders from now on, in place of the one before it.
    pub fn open(&self, tenant: Uuid) -> mpsc::Receiver<Order> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.insert(tenant, sender);
        receiver
    }

    /// Asks a tenant's driver for history, and waits until that is saved.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn ask(
        &self,
        tenant: Uuid,
        streams: Vec<Stream>,
        span: Span,
    ) -> Result<Vec<Asked>, OrderError> {
        let sender = {
            let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            book.get(&tenant).cloned()
        };
        let sender = sender.ok_or(OrderError::NoSuchTenant(tenant))?;
        let (asked, answer) = oneshot::channel();
        let order = Order {
            streams,
            span,
            asked,
        };
        let gone = OrderError::NotCollecting(tenant);
        if sender.send(order).await.is_err() {
            return Err(gone);
        }
        answer.await.map_err(|_| gone)
    }
}
