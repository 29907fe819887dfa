//! Whole configurations: samples, broken files, texts, hostile bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod acme;
mod changes;
mod common;
mod corpus;
mod hostile;
mod reference;
mod s2s;
mod samples;
mod texts;
mod version_4;
