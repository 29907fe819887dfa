//! Certificates from an authority that speaks ACME (RFC 8555), such as Let's Encrypt.
//!
//! ```text
//!        +--------- due: none, placeholder, another name, window of the authority, 2/3 of life ---------+
//!        v                                                                                              |
//! account -> order -> proof of each name -> finalize -> chain and key replace server.pem -> waiting ----+
//!        |                                                                                   ^
//!        +------------------- any failure: the file stays as it is, back-off ----------------+
//! ```
//!
//! | what | module |
//! | --- | --- |
//! | when the next try is due, and never too many of them | `schedule` |
//! | answers to the authority's questions, read by the workers without a lock | [`Answers`] |
//! | listeners of our own, where the server has none on the authority's port | `door` |
//! | the operator's command for DNS records | `hook` |
//! | what became of the last tries, kept beside the account | [`status()`] |
//!
//! The protocol itself is the crate `instant-acme`; requests go out through a client with limits ([`Settings`] names the
//! authorities that it trusts).

mod account;
mod answers;
mod certificate;
mod door;
mod error;
mod hook;
mod http;
mod order;
mod placeholder;
mod schedule;
mod settings;
mod status;
mod task;

pub use answers::{Answers, PATH};
pub use error::AcmeError;
pub use hook::Hook;
pub use placeholder::ensure_certificate;
pub use schedule::TRIES_PER_HOUR;
pub use settings::{
    Challenge, ExternalAccount, LETS_ENCRYPT, LETS_ENCRYPT_STAGING, NAMES_AT_MOST, Serving, Settings,
    default_account_file,
};
pub use status::{Failure, Issued, Status, status};
pub use task::Acme;
