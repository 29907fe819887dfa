//! A PROXY protocol header is read, waited for or refused, the same however it is cut.
#![no_main]

use lampyris_transport::proxy::{MAX_HEADER_BYTES, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = parse(data);
    match whole {
        Ok(Some((header, length))) => {
            assert!(length <= data.len().min(MAX_HEADER_BYTES));
            assert_eq!(parse(&data[..length]), Ok(Some((header, length))));
            for end in 0..length {
                assert_eq!(parse(&data[..end]), Ok(None));
            }
        }
        Ok(None) => assert!(data.len() < MAX_HEADER_BYTES),
        Err(_) => {}
    }
});
