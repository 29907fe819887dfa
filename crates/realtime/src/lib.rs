//! The rules of rooms: what each operation does, who is told, in which order.
//!
//! Nothing here knows sockets, clocks or connections. `now` is the time since the process's clock started.

#[macro_use]
pub mod codes;
pub mod parameters;
pub mod properties;
pub mod room;
