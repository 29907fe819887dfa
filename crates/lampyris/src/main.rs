//! Lampyris, the server binary.
fn main() {}
