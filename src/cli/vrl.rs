//! `vrl`: writes the bundled VRL files out.

use std::{fs, path::PathBuf};

use clap::Args;

use super::Failure;
use crate::ecs::bundle;

#[derive(Args)]
pub struct Vrl {
    /// Directory to write to, made if it is missing; files of the same names are replaced
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub fn run(args: &Vrl) -> Result<(), Failure> {
    for (name, text) in bundle::all() {
        let path = args.output.join(name);
        let failed = |error| Failure::failed(format!("cannot write {}: {error}", path.display()));
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
        super::print(&format!("{}\n", path.display()))?;
    }
    Ok(())
}
