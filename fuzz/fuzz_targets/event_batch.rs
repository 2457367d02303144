#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| foldline_properties::event_batch::holds(data));
