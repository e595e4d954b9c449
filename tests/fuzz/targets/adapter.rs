#![no_main]
//! `adapter_config.json` beside weights that are fine.

const LORA: &[u8] = b"\x4b\0\0\0\0\0\0\0{\"m.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}   \0\0\0\0\0\0\0\0";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gradus_fuzz::inspect(&[("adapter_config.json", bytes), ("adapter_model.safetensors", LORA)]);
});
