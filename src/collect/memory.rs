//! The memory that pages and batches may take, shared by all tenants of the process.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a page is taken to need before it came: Graph's largest pages of a thousand sign-ins are
/// some megabytes, most are far smaller.
const EXPECTED_PAGE: usize = 2 << 20;

/// The byte budget.
#[derive(Clone, Debug)]
pub struct Memory {
    kib: Arc<Semaphore>,
    expected_kib: u32,
    total: usize,
}

/// A share of the memory; it is given back when dropped.
#[derive(Debug)]
pub struct Share(OwnedSemaphorePermit);

impl Share {
    /// What it is of, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.num_permits() * 1024
    }
}

impl Memory {
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).max(1);
        Self {
            kib: Arc::new(Semaphore::new(total as usize)),
            expected_kib: kib(EXPECTED_PAGE).min(total),
            total: total as usize * 1024,
        }
    }

    /// Room for one page, if there is any.
    #[must_use]
    pub fn room(&self) -> Option<Share> {
        Arc::clone(&self.kib)
            .try_acquire_many_owned(self.expected_kib)
            .ok()
            .map(Share)
    }

    /// All of it, in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.total
    }

    /// What no page or batch holds now, in bytes.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.kib.available_permits() * 1024
    }

    /// Fits a share to a page that came: what it does not need is given back. A page larger than
    /// expected takes what is free besides.
    pub fn fit(&self, share: &mut Share, bytes: usize) {
        let needed = kib(bytes) as usize;
        let held = share.0.num_permits();
        if needed < held {
            drop(share.0.split(held - needed));
        } else {
            let missing = (needed - held).min(self.kib.available_permits());
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            if let Ok(more) = Arc::clone(&self.kib).try_acquire_many_owned(missing) {
                share.0.merge(more);
            }
        }
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_until_the_budget_is_spent() {
        let memory = Memory::new(5 << 20);
        let first = memory.room();
        let second = memory.room();
        assert!(first.is_some() && second.is_some());
        assert!(memory.room().is_none());
        drop(first);
        assert!(memory.room().is_some());
    }

    #[test]
    fn a_small_page_gives_back_what_it_does_not_need() {
        let memory = Memory::new(2 << 20);
        let mut share = memory.room().unwrap();
        memory.fit(&mut share, 10_000);
        assert_eq!(memory.kib.available_permits(), 2048 - 10);
        drop(share);
        assert_eq!(memory.kib.available_permits(), 2048);
    }

    #[test]
    fn a_budget_smaller_than_a_page_still_lets_one_through() {
        let memory = Memory::new(1 << 20);
        let share = memory.room();
        assert!(share.is_some() && memory.room().is_none());
    }
}
