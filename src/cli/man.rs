//! `man` and `completions`: what packages install beside the binary, from the command line's own
//! definition.

use std::{fs, path::PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure};

#[derive(Args)]
pub struct Man {
    /// Directory to write the pages to, made if it is missing
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Args)]
pub struct Completions {
    /// Shell to complete for
    shell: Shell,
}

/// Writes a page for the binary and one for each command.
pub fn run(args: &Man) -> Result<(), Failure> {
    let dir = &args.output;
    let written =
        fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    written.map_err(|error| Failure::failed(format!("cannot write to {}: {error}", dir.display())))
}

/// Writes a shell's completions to standard output.
pub fn completions(args: &Completions) -> Result<(), Failure> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    super::print(&String::from_utf8_lossy(&script))
}
