//! Commands that are planned and not there yet. They say so and do nothing.

use std::path::PathBuf;

use clap::Args;

use super::Failure;

#[derive(Args)]
pub struct Check {
    /// Configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Vector's own configuration, to check how acknowledgements reach the source
    #[arg(long, value_name = "FILE")]
    vector_config: Option<PathBuf>,
}

/// Says that `command` is not there yet: exit code 2.
pub fn not_yet(command: &str) -> Result<(), Failure> {
    Err(Failure::Usage(format!(
        "`{command}` is not part of this version yet; nothing was done"
    )))
}
