#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| foldline_properties::guest_calls::holds(data));
