//! The fields that published detection rules read, and where the documents have them.
//!
//! `docs/elastic-rules.md` and `docs/sigma.md` are made here, from the lists beside this file and from
//! documents that the overlay makes: a field counts as covered if a document has it, with each of the
//! values that rules compare with.

mod elastic;
mod sigma;
