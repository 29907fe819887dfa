//! Key exchange and payload encryption (transports.md, section 7).
