//! Reliable UDP (transports.md, section 3).
