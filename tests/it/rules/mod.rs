//! The fields that published detection rules read, and where the documents have them.
//!
//! `docs/elastic-rules.md` and `docs/sigma.md` are made here, from the lists beside this file. One of
//! Elastic's fields counts as covered if a document that the overlay makes has it, with each of the
//! values that rules compare with; what stands for one of Sigma's is looked up in the catalogue.

mod elastic;
mod sigma;
