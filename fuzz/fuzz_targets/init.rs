//! An init of any form is refused or read, and a standard one that was read is written back to the same meaning.
#![no_main]

use lampyris_transport::init;
use lampyris_wire::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = init::parse(data, &Limits::DEFAULT) else { return };
    let mut out = Vec::new();
    if init::write(&read, "host", &mut out).is_ok() && data[0] == 0xF3 {
        assert_eq!(init::parse(&out, &Limits::DEFAULT).unwrap(), read);
    }
});
