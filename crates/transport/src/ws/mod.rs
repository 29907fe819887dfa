//! WebSocket, server and client side (RFC 6455; transports.md, sections 5 and 6).
