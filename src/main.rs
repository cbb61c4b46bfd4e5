//! The binary: everything is in the library, in [`vector_entra_id::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    vector_entra_id::cli::main()
}
