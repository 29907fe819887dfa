//! The parser of Json.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lampyris_fuzz::wire(lampyris_wire::Protocol::Json, bytes));
