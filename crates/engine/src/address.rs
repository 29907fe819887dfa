//! Addresses told to clients.
