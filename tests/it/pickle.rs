//! What the registry says of an artifact's safety it found in the bytes, through whichever door they came.

use crate::harness::{
    Env, backends,
    files::{push, safetensors, upload},
    oci::{MODEL_PACK, manifest, put},
};
use serde_json::{Value, json};

const R: &str = "acme/triage";

/// A pickle that would call `os.system` if it were loaded (protocol 2: GLOBAL, a tuple of one string, REDUCE).
fn pickle() -> Vec<u8> {
    b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.".to_vec()
}

/// A zip archive with one stored member.
fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let crc = content.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    });
    let (size, length) = (
        u32::try_from(content.len()).unwrap().to_le_bytes(),
        u16::try_from(name.len()).unwrap().to_le_bytes(),
    );
    let common =
        [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &(!crc).to_le_bytes(), &size, &size, &length, &[0, 0]]
            .concat();
    let local = [b"PK\x03\x04", &common[..], name.as_bytes(), content].concat();
    let central = [b"PK\x01\x02", &[20, 0][..], &common, &[0; 14], name.as_bytes()].concat();
    let (offset, span) = (
        u32::try_from(local.len()).unwrap().to_le_bytes(),
        u32::try_from(central.len()).unwrap().to_le_bytes(),
    );
    [&local[..], &central, b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &span, &offset, &[0, 0]].concat()
}

fn absurd_safetensors() -> Vec<u8> {
    [&u64::MAX.to_le_bytes()[..], b"{}"].concat()
}

/// GGUF 3 that says it has 2^63 tensors and as many keys.
fn absurd_gguf() -> Vec<u8> {
    [b"GGUF", &3u32.to_le_bytes()[..], &(1u64 << 63).to_le_bytes(), &(1u64 << 63).to_le_bytes()].concat()
}

/// One file pushed through each door as a version of its own; the inspections that `show` then answers.
async fn by_both_doors(env: &Env, number: usize, path: &str, bytes: &[u8]) -> [Value; 2] {
    let file = upload(env, R, path, bytes).await;
    let version = format!("{number}.0.0");
    let pushed = push(env, R, vec![file], json!({ "version": version })).await;
    assert_eq!(pushed.status, 201, "{path}: {}", pushed.text());
    let oci = "acme/by-oci";
    let manifest =
        manifest(env, oci, MODEL_PACK, &[(path, "application/vnd.cncf.model.weight.v1.raw", bytes)]).await;
    let put = put(env, oci, &version, &manifest).await;
    assert_eq!(put.status, 201, "{path}: {}", put.text());
    let first = env.get(&format!("/v1/workloads/{R}/versions/{version}")).expect(200).await.value();
    let second = env.get(&format!("/v1/workloads/{oci}/versions/{version}")).expect(200).await.value();
    [first["inspection"].clone(), second["inspection"].clone()]
}

backends! {
    async fn pickle_is_found_by_content_whatever_the_file_is_called(env: Env) {
        env.namespace("acme").await;
        let torch = zip("archive/data.pkl", &pickle());
        let hidden = zip("innocent.txt", &pickle());
        for (number, (path, bytes)) in [
            ("model.bin", pickle()),
            ("model.safetensors", pickle()),
            ("README.md", pickle()),
            ("weights.pt", torch.clone()),
            ("config.json", torch),
            ("model.gguf", hidden),
        ].into_iter().enumerate() {
            for inspection in by_both_doors(&env, number + 1, path, &bytes).await {
                assert_eq!(inspection["safety"], "unsafe", "{path}: {inspection}");
                assert!(inspection["findings"][0]["path"].as_str().unwrap().starts_with(path), "{inspection}");
            }
        }
    }

    async fn headers_that_cannot_be_are_refused_at_both_doors(env: Env) {
        env.namespace("acme").await;
        let long_header = [&(1u64 << 40).to_le_bytes()[..], b"{\"w\":"].concat();
        let mut cut = safetensors(1);
        cut.pop();
        for (path, bytes) in [
            ("model.safetensors", absurd_safetensors()),
            ("model.safetensors", long_header),
            ("model.safetensors", b"\x01".to_vec()),
            ("model.safetensors", cut),
            ("model.gguf", absurd_gguf()),
            ("model.gguf", b"GGUF".to_vec()),
        ] {
            let file = upload(&env, R, path, &bytes).await;
            let refused = push(&env, R, vec![file], json!({})).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "artifact_unreadable"), "{path}: {}", refused.text());
            let manifest = manifest(&env, R, MODEL_PACK, &[(path, "application/vnd.cncf.model.weight.v1.raw", &bytes)]).await;
            let refused = put(&env, R, "1.0.0", &manifest).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "artifact_unreadable"), "{path}: {}", refused.text());
        }
        env.get(&format!("/v1/workloads/{R}/versions/latest")).expect(404).await;
    }

    async fn one_pickle_among_safe_files_makes_the_version_unsafe(env: Env) {
        env.namespace("acme").await;
        let safe = upload(&env, R, "model.safetensors", &safetensors(1)).await;
        let alone = push(&env, R, vec![safe.clone()], json!({})).await.value();
        assert_eq!((&alone["inspection"]["safety"], &alone["inspection"]["parameters"]), (&json!("safe"), &json!(4)));
        let training = upload(&env, R, "training_args.bin", &pickle()).await;
        let both = push(&env, R, vec![safe, training], json!({})).await.value();
        assert_eq!((&both["inspection"]["safety"], &both["inspection"]["kind"]), (&json!("unsafe"), &json!("safetensors")));
        assert_eq!(both["inspection"]["findings"][0]["path"], "training_args.bin");
    }
}
