//! Tokens: the one that is held, and how a new one is asked for.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use azure_core::credentials::Secret;
use chrono::{DateTime, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Cloud, Credential, Transport,
    azure::{self, EndpointClock},
    token_error::{Asker, TokenError},
};

/// Gives tokens for one app in one tenant.
pub struct Tokens {
    tenant_id: Uuid,
    credential: Credential,
    cloud: Cloud,
    transport: Arc<dyn Transport>,
    /// The latest token, and until when it is fresh.
    held: Mutex<Option<(Secret, Instant)>>,
    clock: Arc<EndpointClock>,
}

impl Tokens {
    /// `transport` reaches the token endpoint; a managed identity's must not go through a proxy.
    #[must_use]
    pub fn new(
        tenant_id: Uuid,
        credential: Credential,
        cloud: Cloud,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self {
            tenant_id,
            credential,
            cloud,
            transport,
            held: Mutex::default(),
            clock: Arc::default(),
        }
    }

    /// The token that is held, unless it is about to expire.
    #[must_use]
    pub fn fresh(&self) -> Option<Secret> {
        let held = self.lock();
        let (token, until) = held.as_ref()?;
        (Instant::now() < *until).then(|| token.clone())
    }

    /// A token for Graph: the one that is held, else a new one.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn get(&self) -> Result<Secret, TokenError> {
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let scope = self.cloud.scope();
        let credential = azure::credential(
            self.tenant_id,
            &self.credential,
            &self.cloud,
            &self.transport,
            &self.clock,
        )?;
        let answer = credential.get_token(&[&scope], None).await;
        let token = answer.map_err(|error| self.asker().read(&error))?;
        let life = token.expires_on - azure_core::time::OffsetDateTime::now_utc();
        let life = Duration::try_from(life).unwrap_or_default();
        // Renewed five minutes ahead, as azure_identity does; sooner where a token lives for less.
        let fresh = life.saturating_sub((life / 10).min(Duration::from_secs(300)));
        if token.token.secret().is_empty() || fresh.is_zero() {
            return Err(TokenError::Transient(
                "the token endpoint's answer holds no token that lasts".into(),
            ));
        }
        *self.lock() = Some((token.token.clone(), Instant::now() + fresh));
        Ok(token.token)
    }

    /// What time it was at the token endpoint when it last answered.
    #[must_use]
    pub fn date(&self) -> Option<DateTime<Utc>> {
        self.clock.date()
    }

    /// Forgets a token that Graph refuses before its time, unless it was replaced meanwhile.
    pub fn forget(&self, refused: &Secret) {
        let mut held = self.lock();
        let is_held = |(token, _): &(Secret, Instant)| token.secret() == refused.secret();
        if held.as_ref().is_some_and(is_held) {
            *held = None;
        }
    }

    fn asker(&self) -> Asker<'_> {
        Asker {
            tenant_id: self.tenant_id,
            credential: &self.credential,
            cloud: &self.cloud,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Secret, Instant)>> {
        // What is guarded is replaced whole, so a panic elsewhere cannot leave it half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
