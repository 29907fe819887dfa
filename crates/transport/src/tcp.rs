//! TCP framing (transports.md, section 4).
